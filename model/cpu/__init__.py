"""A fleet's step by PyTorch's products: on a CPU, and wherever our kernels for a GPU cannot be compiled.

Only `model/fleet` calls it.
"""
