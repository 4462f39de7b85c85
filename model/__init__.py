"""Networks, data and how they are trained: torch, SciPy for what is lit, Triton on a GPU; no Optuna, no SQL.

torchvision and torchmetrics are imported where they are used: importing both takes 5 s of a command's start on a slow
machine, beside 4 s for torch, and most commands need neither.
"""

import os

# Read when torch, MKL and NumPy load, hence set here, before anything imports them; what the user has set stays.
ENVIRONMENT = {
    # OpenMP's threads spin while they wait for each other. Where another program wants a core too, the spinning thread
    # keeps the one that it waits for from running: beside one busy process, 2 cores took 39 s for an epoch, and 7 s
    # with threads that sleep.
    "OMP_WAIT_POLICY": "PASSIVE",
    # So do those of NumPy's BLAS, whose matrices are small here (`studies/curve_model.py`): beside fleets that train, a
    # proposal took 0.20 s with two of them and 0.07 s with one.
    "OPENBLAS_NUM_THREADS": "1",
    # MKL's Conditional Numerical Reproducibility, strict: a product's bits do not depend on where its matrices lie in
    # memory (Intel's oneMKL Developer Guide, "Obtaining Numerically Reproducible Results"). Without it a network's bits
    # depend on who trains beside it where there is AVX-512. The guide says the same of the number of threads: on AMD's
    # CPUs that does not hold, and `model/cpu/panels.py` does not rest on it. AUTO takes the instructions that MKL would
    # take anyway, on AMD too.
    "MKL_CBWR": "AUTO,STRICT",
    # PyTorch asks the kernel for huge pages under tensors of 2 MB and more. glibc gives what is larger than 32 MB back
    # to the kernel each time, a CNN's step on a minibatch of 1,028 does so with all its activations, and had 43,000
    # page faults, a third to a half of its time. Bits stay as they are.
    "THP_MEM_ALLOC_ENABLE": "1",
}
for _name, _value in ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)
