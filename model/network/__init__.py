"""The article's network as a plain `nn.Module`: its weights, its scores, its time, and its place in a fleet.

Promises: a seed gives the same weights on every device; a score is of one fixed shape. Fleets and `search` call it.
"""
