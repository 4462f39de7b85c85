"""Does what a trial shows at a rung tell which of two will end higher, or what is to be expected of it?

    python -m benchmarks.curve_model

Reads the results of `benchmarks.whole_job`: the learning curves of all trials of its searches. A full trial is looked
at as if it had just come to a rung, with all others of its search as they were in the end. And the Gaussian process's
constants are fitted to these curves, to compare with those in use.
"""

import argparse
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, fields
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from benchmarks import results
from benchmarks.rounds import measured
from studies.curve_model import CurveModel, curves, expected_values
from studies.halving import HALVING
from studies.sweet_spot import SPACE, STUDY

RUNGS, HORIZON = HALVING.rungs, HALVING.horizon

Setting = tuple[int, float]
Curve = Mapping[int, float]
Search = Sequence[tuple[Setting, Curve]]
WIDE = 150  # units
HORIZONS = 10, HORIZON, 30, STUDY.epochs


def told(setting: Setting, shown: Curve) -> FrozenTrial:
    """Return a trial that has shown this."""
    params = dict(zip(("hidden_units", "lr"), setting, strict=True))
    state = TrialState.PRUNED
    return optuna.trial.create_trial(state=state, params=params, distributions=SPACE, intermediate_values=dict(shown))


def at_rung(search: Search, rung: int, end: int) -> list[tuple[list[float], float]]:
    """Return of each trial that came so far what it shows at a rung, and what is expected of it by then; and its end.

    Without the baseline, which is not judged, and narrow networks, which nobody would take for the best.
    """
    found, trials = [], [told(*trial) for trial in search]
    for k, (setting, curve) in enumerate(search):
        if {rung, end} <= curve.keys() and setting[0] >= WIDE:
            own = told(setting, {epoch: value for epoch, value in curve.items() if epoch <= rung})
            known = [*trials[:k], *trials[k + 1 :], own]
            expected = [expected_values(known, max(horizon, rung))[-1] for horizon in HORIZONS]
            found.append(([curve[rung], *expected], curve[end]))
    return found


def agreement(searches: Iterable[Search], rung: int, end: int) -> tuple[list[int], int]:
    """Return of how many pairs of one search each of these tells which is better at the end; and how many pairs."""
    count, pairs = [0] * (1 + len(HORIZONS)), 0
    for search in searches:
        for (one, its_end), (other, other_end) in combinations(at_rung(search, rung, end), 2):
            if its_end != other_end:
                pairs += 1
                right = [(a > b) == (its_end > other_end) for a, b in zip(one, other, strict=True)]
                count = [so_far + this for so_far, this in zip(count, right, strict=True)]
    return count, pairs


def fitted(searches: Sequence[Search], horizon: int) -> CurveModel:
    """Return the process under which the searches' curves, up to the horizon, are likeliest: empirical Bayes.

    Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning" (2006), chapter 5.4.
    """
    shown = [curves([told(*trial) for trial in search], horizon) for search in searches]

    def unlikely(logarithms: Sequence[float]) -> float:
        """Return minus the log likelihood, less a constant."""
        process, total = CurveModel(*map(math.exp, logarithms)), 0.0
        for reports, of, values in shown:
            factor, low = cho_factor(process.shown(reports, of), lower=True)
            away = values - values.mean()
            total += away @ cho_solve((factor, low), away) / 2 + np.log(factor.diagonal()).sum()
        return total

    return CurveModel(*map(math.exp, minimize(unlikely, [math.log(value) for value in astuple(CurveModel())]).x))


def report(lines: Iterable[Mapping[str, Any]]) -> str:
    """Return the section."""
    searches = [
        [((width, lr), {int(epoch): value for epoch, value in curve.items()}) for width, lr, curve in line["curves"]]
        for line in lines
        if line.get("curves") and line["epochs"] == STUDY.epochs
    ]
    rows = []
    for rung, end in ((rung, end) for end in (max(RUNGS), STUDY.epochs) for rung in RUNGS if rung < end):
        right, pairs = agreement(searches, rung, end)
        if not pairs:
            return results.MISSING
        rows.append([rung, end, pairs, *(f"{100 * told / pairs:.0f} %" for told in right)])
    head = ("at epoch", "better at", "pairs", "by what they show", *(f"expected at {horizon}" for horizon in HORIZONS))
    constants = zip(fields(CurveModel), astuple(CurveModel()), astuple(fitted(searches, max(RUNGS))), strict=True)
    return "\n\n".join(
        [
            f"Of two trials of {WIDE} units and more in one search, which is better later? How often that is told at a"
            f" rung, over {len(searches)} searches, ours and the Optuna scripts': by accuracy, and by what is expected"
            f" at an epoch, or at the rung itself if that is later; {HORIZON} is in use. Only of trials that went on is"
            " it known, and they were chosen by what they showed: that says less of them than of all.",
            results.machine("optuna"),
            results.table(head, rows),
            f"The constants of `studies/curve_model.py`, fitted to the curves up to epoch {max(RUNGS)}:",
            results.table(
                ("", "in use", "fitted"), [[each.name, used, f"{found:.3g}"] for each, used, found in constants]
            ),
        ]
    )


def main() -> None:
    """Write the section."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("build/whole_job.jsonl"))
    results.write("outlook", report(measured(parser.parse_args().results)))


if __name__ == "__main__":
    main()
