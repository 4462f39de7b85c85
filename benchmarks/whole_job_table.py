"""The table of `benchmarks.whole_job`: from the lines that were measured to Markdown."""

import math
from bisect import bisect
from collections.abc import Iterable, Mapping, Sequence
from statistics import mean, median
from typing import Any

from benchmarks import results, time_to
from benchmarks.peers.job import FACTOR, own_rungs
from benchmarks.sql_share import share
from studies.halving import HALVING
from studies.sweet_spot import epoch_flops

RUNGS = HALVING.rungs

Line = Mapping[str, Any]
IMAGES = 50_000  # of an epoch
FRESH = "fresh seeds"  # name of the lines that `benchmarks.winners` adds
NAMES = {
    "ours": "sweetspot",
    "ours_bfloat16": "sweetspot, products in bfloat16",
    "optuna_tuned": "Optuna, resident tensors, fused Adam",
    "ray_tune": "Ray Tune, OptunaSearch, ASHA",
    "optuna_example": "Optuna, as its example (extrapolated)",
}


def by_seed(lines: Sequence[Line], name: str) -> dict[int, Line]:
    """Return a contender's lines by their seed."""
    return {line["seed"]: line for line in lines if line["name"] == name}


def interpolated(width: float, points: Sequence[tuple[float, float]]) -> float:
    """Return the value at a width, on straight lines between the points; beyond them it goes on like the last two."""
    k = min(max(bisect([x for x, _ in points], width), 1), len(points) - 1)
    (x0, y0), (x1, y1) = points[k - 1 : k + 1]
    return y0 + (y1 - y0) * (width - x0) / (x1 - x0)


def extrapolated(example: Line, tuned: Line) -> dict[str, Any]:
    """Return the example's line as if it had trained what the tuned script trained at the same seed."""
    points = example["seconds_at"]
    seconds = sum(epochs * interpolated(width, points) for width, epochs in tuned["runs"])
    return {**tuned, "name": "optuna_example", "seconds": seconds}


def floor(line: Line, rate: float) -> float:
    """Return the seconds that the matrix products of a job take at this rate of FLOP per second."""
    return sum(epochs * epoch_flops(width, IMAGES) for width, epochs in line["runs"]) / rate


def model_epochs(line: Line) -> int:
    """Return how many epochs a job trained, over all its trials."""
    return sum(epochs for _, epochs in line["runs"])


def unit_epochs(line: Line) -> int:
    """Return a job's work: hidden units times epochs, over all its trials."""
    return sum(width * epochs for width, epochs in line["runs"])


def jobs(lines: Sequence[Line]) -> dict[str, dict[int, Line]]:
    """Return the jobs of each contender by seed, the example's extrapolated."""
    found = {name: by_seed(lines, name) for name in NAMES}
    tuned = found["optuna_tuned"]
    found["optuna_example"] = {
        seed: extrapolated(line, tuned[seed]) for seed, line in found["optuna_example"].items() if seed in tuned
    }
    return {name: runs for name, runs in found.items() if runs}


def report(lines: Sequence[Line]) -> str:
    """Return the section."""
    found, rates = jobs(lines), by_seed(lines, "sgemm")
    if not found or not rates:
        return results.MISSING
    job = lines[0]
    gflops = median(line["flops_per_second"] for line in rates.values()) / 1e9
    ours, theirs = found.get("ours", {}), own_rungs(job["epochs"])
    return "\n\n".join(
        [
            f"{job['trials']} trials of at most {job['epochs']} epochs, batch 1028, 50,000 images, float32"
            " unless said, SQLite; one seed a round, medians over rounds (n); ratios are of runs of one seed, with"
            " their range, and where commits differ not of runs in turn.",
            "Ours samples and halves by what trials would reach, the peers with Optuna's TPE and asynchronous"
            f" successive halving. Ours are judged at {_listed(RUNGS)} epochs, theirs at {_listed(theirs)}: of"
            f" {math.prod(RUNGS.values())} trials, theirs of {FACTOR ** len(theirs)}, one is to be trained to its end.",
            _machines(lines),
            f"Floor: the job's own matrix products, zeros counted, at {gflops:.0f} GFLOP/s, the rate of plain products"
            " of the fleet's shapes in the same rounds. How much a search trains, and how wide, is for its pruner and"
            " its luck to say, so that ratios of wall time scatter: units x epochs is the work, and the column beside"
            " it what it costs.",
            results.table(_HEAD, [_row(name, runs, ours, rates) for name, runs in found.items()]),
            *_shares(ours),
            *time_to.parts(found, NAMES),
            "Is ours as accurate? The best accuracy is that of the luckiest trial, on validation; beside it, what its"
            " setting reaches on the test images, trained again from fresh seeds (`python -m benchmarks.winners`)."
            " Means over all searches that were measured, of a seed perhaps several, since a seed is nothing that two"
            " contenders have in common; differences in points, ours less theirs, with the 95 % interval of Welch's t.",
            results.table(_ACCURACY_HEAD, _accuracies(lines, list(found))),
            "The example is extrapolated: seconds of one epoch at four widths, on straight lines between them, for the"
            " trials that the tuned script trained at the same seed.",
        ]
    )


def _listed(rungs: Iterable[int]) -> str:
    return ", ".join(map(str, rungs))


def _shares(ours: Mapping[int, Line]) -> list[str]:
    """Return what SQL and sampler took of our jobs, where that was measured."""
    shares = [100 * share(line) for line in ours.values() if "sql" in line]
    return [f"SQL and sampler took {min(shares):.1f} to {max(shares):.1f} % of ours."] if shares else []


def _machines(lines: Sequence[Line]) -> str:
    """Return what was measured on and with; where that is not the same for all, who was measured so."""
    names: dict[str, dict[str, None]] = {}
    for line in lines:
        if line["name"] in NAMES:
            names.setdefault(line["machine"], {})[NAMES[line["name"]]] = None
    if len(names) == 1:
        return next(iter(names))
    return "\n\n".join(f"{'; '.join(those)}: {machine}" for machine, those in names.items())


_HEAD = (
    "contender",
    "n",
    "wall time, s",
    "against ours",
    "model-epochs",
    "units x epochs",
    "ms per unit and epoch",
    "complete, pruned, failed",
    "floor, s",
    "wall / floor",
)


def _row(
    name: str,
    runs: Mapping[int, Line],
    ours: Mapping[int, Line],
    rates: Mapping[int, Line],
) -> list[object]:
    every = list(runs.values())
    floors = [floor(line, rates[seed]["flops_per_second"]) for seed, line in runs.items() if seed in rates]
    above = [line["seconds"] / f for line, f in zip(every, floors, strict=False)]
    states = ", ".join(f"{median(line[state] for line in every):.0f}" for state in ("complete", "pruned", "failed"))
    return [
        NAMES[name],
        len(every),
        f"{median(line['seconds'] for line in every):.0f}",
        results.ratio([line["seconds"] / ours[seed]["seconds"] for seed, line in runs.items() if seed in ours]),
        f"{median(map(model_epochs, every)):.0f}",
        f"{median(map(unit_epochs, every)):,.0f}",
        f"{median(1e3 * line['seconds'] / unit_epochs(line) for line in every):.2f}",
        states,
        f"{median(floors):.0f}" if floors else "",
        f"{median(above):.1f} x" if above else "",
    ]


_ACCURACY_HEAD = (
    "contender",
    "searches",
    "best accuracy",
    "ours less theirs",
    "winners trained again",
    "on the test images",
    "ours less theirs",
)


def _accuracies(lines: Sequence[Line], names: Sequence[str]) -> list[list[object]]:
    """Return a row for each contender that searched: how accurate it is, and how much more so ours."""
    searched = [name for name in names if name != "optuna_example"]
    best = {name: [x["best"] for x in lines if x["name"] == name and x["best"] is not None] for name in searched}
    fresh = {name: [float(mean(x["test"])) for x in lines if x.get("of") == name] for name in searched}
    return [[NAMES[name], *(cell for found in (best, fresh) for cell in _compared(found, name))] for name in searched]


def _compared(found: Mapping[str, Sequence[float]], name: str) -> list[object]:
    ours, theirs = found.get("ours", []), found[name]
    if not theirs:
        return [0, "", ""]
    less = results.apart(ours, theirs) if ours and name != "ours" else ""
    return [len(theirs), f"{100 * mean(theirs):.2f} %", less]
