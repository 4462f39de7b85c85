"""The article's wishes as studies, each a file in the form that a person writes; see `studies/study.py`."""
