"""What older versions stored of the sweet spot, when it was the only study, in the form of today.

An arm was stored by its width and learning rate, a time by its width.
"""

from collections.abc import Mapping
from typing import Any

from studies.built_in.sweet_spot import study

WIDTH, LR = "hidden_units", "lr"


def is_arm(stored: Mapping[str, Any]) -> bool:
    """Say whether an arm is stored in the old form."""
    return "width" in stored


def arm(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a `studies.confirmation.Arm`."""
    params = {WIDTH: stored["width"], LR: stored["lr"]}
    setting = {**params, LR: study.baseline[LR]}
    told = {"protocol": stored["protocol"], "source": stored["lr_from"], "role": stored["role"]}
    return {**told, "setting": setting, "params": params}


def timed_settings(stored: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of stored times, each with its setting."""
    return [
        *stored.get("settings", []),
        *({**row, "setting": {WIDTH: row["width"]}} for row in stored.get("widths", [])),
    ]
