"""Fleets: many networks trained side by side on shared minibatches, and several fleets at once.

Promises: no bit of a network depends on its neighbours. It chooses between `model/cpu` and
`model/gpu`; `search` calls it.
"""
