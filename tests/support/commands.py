"""Commands as people call them, in this process."""

import json
from typing import Any

import pytest


def call(main: Any, *arguments: object) -> int:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return int(end.value.code or 0)


def said(main: Any, capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    """What a command prints as JSON."""
    capsys.readouterr()
    assert call(main, *arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)
