"""MNIST on a device, checked by hash and split by seed, and pictures of digits made like it.

Promises: no wrong byte is ever used; the test images are read only when somebody asks for them. Everything above may
call it.
"""
