"""Plain MLPs, the article's among them, as `nn.Module`: weights, scores, time, and their place in a fleet.

Promises: a seed gives the same weights on every device; a score is of one fixed shape. Fleets and `search` call it.
"""
