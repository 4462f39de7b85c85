"""The article's network and how it is trained: torch, SciPy for what is lit, Triton on a GPU; no Optuna, no SQL.

torchvision and torchmetrics are imported where they are used: importing both takes 5 s of a command's start on a slow
machine, beside 4 s for torch, and most commands need neither.
"""

import os

# OpenMP's threads spin while they wait for each other. Where another program wants a core too, the spinning thread
# keeps the one that it waits for from running: beside one busy process, 2 cores took 39 s for an epoch, and 7 s with
# threads that sleep. Read when torch loads, hence here, before anything imports it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
