"""Fleets: many networks trained side by side on shared minibatches, and several fleets at once.

Promises: no bit of a network depends on its neighbours. It makes networks members, and chooses between `model/cpu`,
`model/gpu` and `model/general`; `studies` and `search` call it.
"""
