"""Data on a device, checked, split by seed and scaled: MNIST, others by name, one's own; and pictures of digits.

Promises: no wrong byte is ever used; a test part is made only when somebody asks for it, and chooses nothing: not even
how data are scaled. Everything above may call it.
"""
