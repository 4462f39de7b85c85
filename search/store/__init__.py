"""The study in SQL: everything that knows the database, or what lies in it.

Promises: one schema and one baseline per study, an exact budget, each trial acquired by one worker, no result lost
while the database is away or a process dies. `storage.py` and `rows.py` hold the statements, `study.py` what a worker
does with a study, `request.py` what users ask of it, `state.py` all of it as one value. Knows Optuna and SQLAlchemy;
every package above may call it, none of them sees SQL.
"""
