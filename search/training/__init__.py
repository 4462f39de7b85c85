"""Training of trials: the main path (`engine.py`), what shows it, and what a trial leaves behind.

Promises: a trial's numbers depend on its own seeds alone, so `replay.py` trains it again to the bit; trials that are
interrupted are given back. The verdict's confirmation and the workers call it.
"""
