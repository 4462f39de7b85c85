"""A fleet's step by kernels in Triton, recorded as a CUDA graph.

Only `model/fleet` calls it. Without a GPU the tests interpret the kernels, and compile them for several cards.
"""
