"""Whether a claim holds: confirmation on fresh seeds, evidence, statistics, and the judgement in words.

Promises: all claims of a study together err in at most 5 % of studies, and "undecided" is said where data do not
decide (`claims.py`, `boundary.py`, measured in docs/calibration.md). What is claimed is data (`studies/claims.py`);
nothing here knows which settings or metric it is about. `judge.py` is a pure function of claims and confirmed runs;
`confirmation.py` trains them, `rounds.py` says which and until when; `findings.py` reads them from SQL and has them
judged. Results and workers call it.
"""
