"""Who works: one process on one study (`job.py`), a pool of them, nodes of a Ray cluster, a service for all studies.

Promises: a worker may die at any moment; its trials are run again and another worker starts. Only commands call it.
"""
