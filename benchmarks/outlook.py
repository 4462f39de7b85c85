"""Does what a trial shows at a rung tell which of two will end higher, or what it would reach by the others' gains?

    python -m benchmarks.outlook

Reads the results of `benchmarks.whole_job`: the learning curves of all trials of its searches. A full trial is looked
at as if it had just come to a rung, with all others of its search as they were in the end.
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from benchmarks import results
from benchmarks.rounds import measured
from studies.outlook import would_reach
from studies.sweet_spot import ARTICLE_EPOCHS, RUNGS, SPACE

Setting = tuple[int, float]
Curve = Mapping[int, float]
Search = Sequence[tuple[Setting, Curve]]
WIDE = 150  # units


def told(setting: Setting, shown: Curve) -> FrozenTrial:
    """Return a trial that has shown this."""
    params = dict(zip(("hidden_units", "lr"), setting, strict=True))
    state = TrialState.PRUNED
    return optuna.trial.create_trial(state=state, params=params, distributions=SPACE, intermediate_values=dict(shown))


def at_rung(search: Search, rung: int, horizon: int) -> list[tuple[float, float]]:
    """Return of each full trial what it would show at the horizon, to judge at a rung, and what it reached in the end.

    Without the baseline, which is not judged, and narrow networks, which nobody would take for the best.
    """
    found, trials = [], [told(*trial) for trial in search]
    for k, (setting, curve) in enumerate(search):
        if {rung, ARTICLE_EPOCHS} <= curve.keys() and setting[0] >= WIDE:
            own = told(setting, {epoch: value for epoch, value in curve.items() if epoch <= rung})
            found.append((would_reach([*trials[:k], *trials[k + 1 :], own], horizon)[-1], curve[ARTICLE_EPOCHS]))
    return found


def agreement(searches: Iterable[Search], rung: int, horizon: int) -> tuple[int, int]:
    """Return of how many pairs of one search's trials the better one is told at a rung, and of how many in all."""
    right = pairs = 0
    for search in searches:
        for (one, its_end), (other, other_end) in combinations(at_rung(search, rung, horizon), 2):
            if its_end != other_end:
                pairs += 1
                right += (one > other) == (its_end > other_end)
    return right, pairs


def report(lines: Iterable[Mapping[str, Any]]) -> str:
    """Return the section."""
    searches = [
        [((width, lr), {int(epoch): value for epoch, value in curve.items()}) for width, lr, curve in line["curves"]]
        for line in lines
        if line.get("curves") and line["epochs"] == ARTICLE_EPOCHS
    ]
    rows = []
    for rung in RUNGS:
        found = [agreement(searches, rung, horizon) for horizon in (rung, max(RUNGS), ARTICLE_EPOCHS)]
        if not found[0][1]:
            return results.MISSING
        rows.append([rung, found[0][1], *(f"{100 * right / pairs:.0f} %" for right, pairs in found)])
    head = ("at epoch", "pairs", "shows", f"would show at {max(RUNGS)}", f"would show at {ARTICLE_EPOCHS}")
    return "\n\n".join(
        [
            f"Of two full trials of {WIDE} units and more in one search, which ends higher? How often that is told at a"
            f" rung, over {len(searches)} searches, ours and the Optuna scripts'. Only full trials are known to their"
            " end, and they were chosen by what they showed: what they show early says less of them than of all.",
            results.machine("optuna"),
            results.table(head, rows),
        ]
    )


def main() -> None:
    """Write the section."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("build/whole_job.jsonl"))
    results.write("outlook", report(measured(parser.parse_args().results)))


if __name__ == "__main__":
    main()
