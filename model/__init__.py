"""The article's network and how it is trained: torch only, no Optuna, no SQL."""
