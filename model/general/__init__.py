"""Trains any `nn.Module` that is no plain MLP, under the promises of those.

A trial's bits depend on its seeds and the number of threads, not on what trains beside it.

`model/fleet/family.py` is the way in. The step is a plain loop of PyTorch's own optimizers: what is promised beyond
that is whose random numbers, minibatches and errors they are. On a GPU the members take their steps one after the
other; stacking them (`torch.func`, CUDA graphs) is not built.
"""
