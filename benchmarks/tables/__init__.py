"""Learning curves of every setting of a grid, recorded once: a search among them takes no training.

benchmarks/tables/NAME.npz has `wrong`, uint16 (settings, seeds, epochs), of `rows` validation rows.
"""
