"""What can go wrong below the search: the root of the project's errors and its branch for data and devices.

The whole tree is drawn in `search/errors.py`. A message is one line: what was wrong, and how to mend it.
"""


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, its name if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


class SweetspotError(Exception):
    """Root of every error this project raises on purpose; the command line prints it as one line."""

    exit_code = 1
    """2 where the user's input is at fault, 1 where the run is."""


class DataError(SweetspotError):
    """Data are not to be had, or a file of them is wrong and no source can replace it."""


class DataDirError(DataError):
    """The data directory named cannot be one: something that is no directory lies there."""

    exit_code = 2


class OwnDataError(DataError):
    """Data that the user named cannot be used: there are none of that name, or a row, a column or a file is wrong."""

    exit_code = 2


class DeviceError(SweetspotError):
    """The device asked for does not exist here."""

    exit_code = 2


class WeightsError(SweetspotError):
    """A file holds no weights that this version can read."""


class NetworkError(SweetspotError):
    """A network, or how it is to be trained, does not fit the data, its parameters or what is promised of it."""

    exit_code = 2


class PictureError(SweetspotError):
    """A picture given by the user cannot be read, or shows no digit."""

    exit_code = 2
