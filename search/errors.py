"""Every error the project raises on purpose, with the exit code each one means.

    SweetspotError (1)           model/errors.py
    ├── DataError (1)            model/errors.py: data by name are not to be had
    │   ├── DataDirError (2)     model/errors.py: the directory given for it is none
    │   └── OwnDataError (2)     model/errors.py: the user's own data cannot be used
    ├── NetworkError (2)         model/errors.py: a study's network cannot be built or trained
    ├── StudyError (2)           studies/study.py: a study's file says what cannot be
    ├── DeviceError (2)          model/errors.py: no such device here
    ├── WeightsError (1)         model/errors.py: a file holds no weights that we can read
    ├── PictureError (2)         model/errors.py: the user's picture cannot be read, or shows no digit
    ├── UsageError (2)           an option or argument makes no sense
    ├── StudyMismatchError (2)   the stored study is not the one asked for
    ├── NotFoundError (1)        no database, no study, no trial
    ├── StorageError (1)         the database cannot be used
    ├── StoredError (1)          the database can, but what it holds of a study is not what we write there
    └── SearchError (1)          the search itself cannot go on

A message is one line: what was wrong, and how to mend it. Only `search/cli.py` turns errors into output.
"""

from model.errors import DataError, DeviceError, PictureError, SweetspotError, WeightsError

__all__ = [
    "DataError",
    "DeviceError",
    "NotFoundError",
    "PictureError",
    "SearchError",
    "StorageError",
    "StoredError",
    "StudyMismatchError",
    "SweetspotError",
    "UsageError",
    "WeightsError",
]


class UsageError(SweetspotError):
    """An option, an argument or an environment variable makes no sense."""

    exit_code = 2


class StudyMismatchError(SweetspotError):
    """The stored study's question, space, direction, epochs, split or seed differs from what is asked for."""

    exit_code = 2


class NotFoundError(SweetspotError):
    """There is no such database, study or trial, or nothing in it yet."""


class StorageError(SweetspotError):
    """The database cannot be reached, read or written, or is not Optuna's."""


class StoredError(SweetspotError):
    """What is stored of a study is not what sweetspot writes; other studies of the database may well be sound."""


class SearchError(SweetspotError):
    """The search cannot go on: too many trials diverged, say."""
