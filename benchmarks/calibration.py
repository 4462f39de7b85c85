"""Is the verdict as sure as it says? Judges experiments of known truth many times and writes `docs/calibration.md`.

    python -m benchmarks.calibration
    python -m benchmarks.calibration --repetitions 40 --target /tmp/calibration.md

Truths are put exactly on the margins, where a wrong verdict is most probable. Takes 20 to 30 minutes on one core; with
fewer repetitions, another target is to be named.
"""

import argparse
import math
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from benchmarks import calibration_rounds, known_kinds
from benchmarks.known_truth import (
    FLAT,
    LIKELY,
    MANY,
    NOISES,
    ON_MARGIN,
    ONE_BEST,
    RIGHT,
    SEED,
    TIED,
    Tally,
    Truth,
    bootstrap_coverage,
    measure,
)
from search.verdict.claims import claim_tail

REPETITIONS = 4000
CLAIM_TAIL = claim_tail(4)
TARGET = Path(__file__).parent.parent / "docs" / "calibration.md"

# What lies on its margin in each truth: there a wrong verdict is most probable.
MARGINAL: tuple[tuple[Truth, tuple[str, ...]], ...] = (
    (ON_MARGIN, ("too-few-struggles", "too-many-slower", "too-many-memorizes", "25-just-right")),
    (TIED, ("too-many-memorizes", "25-just-right")),
    (ONE_BEST, ("25-just-right",)),
)
CLEAR: tuple[Truth, ...] = (LIKELY, FLAT)
SIZES = (5, 20)


def percent(count: float, of: int) -> str:
    """Write a share in percent."""
    return f"{100 * count / of:.2f} %"


def header(repetitions: int) -> str:
    """Return the opening of the document."""
    return f"""# Calibration of the verdict

Is the verdict as sure as it says? Experiments with a known truth were simulated and judged, {repetitions} times each
where nothing else is said. First comes how new confirmations are judged, then, from *On the margins* on, those that
were begun on a fixed number of seeds by an earlier version: at one look, by Student's t.

Written by `python -m benchmarks.calibration`; every draw comes from the seed {SEED}: the same command writes the same.

Each experiment has runs of every width over the same seeds (a seed shifts all widths alike, by 0.1 points standard
deviation) and as many rounds of timing (2 % noise of their own, 5 % shared by a round). Noise of a run:

- *even*: normal, 0.3 points at every width;
- *uneven*: normal, 0.4 points up to 25 units and 0.05 above, much as measured on MNIST;
- *skewed*: up to 25 units exponential with a tail of bad seeds (0.4 points standard deviation), normal with 0.05 above.
  Student's t promises nothing here; its rows show what that costs.
"""


def fixed_header(repetitions: int) -> str:
    """Return what opens the part about fixed numbers of seeds."""
    limit = 100 * CLAIM_TAIL
    error = 100 * math.sqrt(CLAIM_TAIL * (1 - CLAIM_TAIL) / repetitions)
    wide = 100 * math.sqrt(0.95 * 0.05 / repetitions)
    return f"""## On the margins

The truth lies on the margin, where a wrong verdict is most probable. *Supported* and *refuted* should each stay below
{limit:.3f} % (standard error of the simulation: {error:.2f}), `ci95` should hold the true effect in 95 % of cases
(standard error {wide:.2f}) and the corrected interval in 98.75 % or a little more. The interval for the distance from
the best width holds more often, since it holds whichever width is the best.
"""


def marginal_section(repetitions: int) -> Iterator[str]:
    """Yield the lines of the tables about truths on the margins."""
    yield "| truth | noise | seeds | claim | supported | refuted | ci95 holds | corrected holds |"
    yield "|---|---|--:|---|--:|--:|--:|--:|"
    families, picks = [], []
    worst = dict.fromkeys(NOISES, 0)
    for (truth, names), noise, seeds in product(MARGINAL, NOISES, SIZES):
        result = measure(truth, noise, seeds, repetitions)
        for name in names:
            tally = result.tallies[name]
            worst[noise] = max(worst[noise], tally.supported, tally.refuted)
            yield f"| {truth.name} | {noise} | {seeds} | {name} | {_cells(tally, repetitions)} |"
        if truth is ON_MARGIN:
            families.append(f"| {noise} | {seeds} | {percent(result.any_verdict, repetitions)} |")
        else:
            ours = percent(result.tallies["25-just-right"].refuted, repetitions)
            naive = percent(result.naive, repetitions)
            picks.append(f"| {truth.name} | {noise} | {seeds} | {naive} | {ours} |")
    yield ""
    shares = ", ".join(f"{percent(count, repetitions)} with {noise} noise" for noise, count in worst.items())
    yield f"Largest share in the columns *supported* and *refuted*: {shares}."
    yield from ("", *_FAMILY_HEAD, *families, "", *_PICK_HEAD, *picks)


def _cells(tally: Tally, repetitions: int) -> str:
    counts = (tally.supported, tally.refuted, tally.covered, tally.covered_corrected)
    return " | ".join(percent(count, repetitions) for count in counts)


_FAMILY_HEAD = (
    "## Four claims together",
    "",
    "All four on their margins: how often any of them is decided at all. At most 5 %.",
    "",
    "| noise | seeds | any verdict |",
    "|---|--:|--:|",
)
_PICK_HEAD = (
    "## The flattered winner",
    "",
    "No width is truly better than 25 units by more than the margin. *Naive* takes the width with the highest mean",
    "and compares it with 25 by a plain paired t interval of 95 %, as if it had been named in advance: it should err",
    "in 2.5 % of cases at most. *Ours* is `25-just-right` refuted.",
    "",
    "| truth | noise | seeds | naive | ours |",
    "|---|---|--:|--:|--:|",
)


def clear_section(repetitions: int) -> Iterator[str]:
    """Yield the lines of the table about truths away from the margins, by number of seeds."""
    yield "## How many seeds a decision takes"
    yield ""
    yield f"Uneven noise. *{LIKELY.name.capitalize()}* means, in points of validation accuracy from 25 units:"
    yield ", ".join(f"{width}: {effect:+.1f}" for width, effect in LIKELY.accuracy.items()) + ";"
    yield f"a gap of {LIKELY.gap[RIGHT]} points at 25 units and {LIKELY.gap[MANY]} at 100;"
    yield f"an epoch of 100 units takes {LIKELY.time_ratio} times as long."
    yield ""
    yield "| truth | claim | seeds | supported | refuted | undecided |"
    yield "|---|---|--:|--:|--:|--:|"
    for truth, seeds in product(CLEAR, (3, 5, 10, 20)):
        result = measure(truth, "uneven", seeds, repetitions)
        for name, tally in result.tallies.items():
            yield f"| {truth.name} | {name} | {seeds} | {_shares(tally, repetitions)} |"


def bootstrap_section(repetitions: int) -> Iterator[str]:
    """Yield the lines of the table that compares Student's t with the bootstrap."""
    yield "## Why not the bootstrap"
    yield ""
    yield "How often a 95 % interval holds the true mean of normal values (percentile bootstrap of 1000 resamples):"
    yield ""
    yield "| pairs | bootstrap | Student's t |"
    yield "|--:|--:|--:|"
    for pairs in (3, 5, 10, 20):
        shares = bootstrap_coverage(pairs, repetitions)
        yield f"| {pairs} | {percent(shares[0], 1)} | {percent(shares[1], 1)} |"


def kinds_section(repetitions: int) -> Iterator[str]:
    """Yield the lines of the table about every kind of claim, of settings and metrics that are not the article's."""
    yield "## Every kind of claim"
    yield ""
    yield "One claim of each kind, two where it has two parts, of settings that no other claim has, judged together."
    yield "Each truth lies on its margin, as above; of claims of two parts once by either part. *Loss* is in"
    count = len(known_kinds.on_margins(known_kinds.LOSS))
    tail = 100 * claim_tail(count)
    yield f"a unit of its own, and minimized. Corrected for {count} claims: {tail:.3g} % for each side."
    yield ""
    yield "| metric | noise | seeds | claim | supported | refuted | ci95 holds | corrected holds |"
    yield "|---|---|--:|---|--:|--:|--:|--:|"
    together = []
    for metric, noise, seeds in product(known_kinds.METRICS, NOISES, SIZES):
        result = known_kinds.measure("on the margins", noise, seeds, repetitions, metric)
        for name, tally in result.tallies.items():
            yield f"| {metric} | {noise} | {seeds} | {name} | {_cells(tally, repetitions)} |"
        together.append(f"| {metric} | {noise} | {seeds} | {percent(result.any_verdict, repetitions)} |")
    yield from ("", "Any of them decided at all, at most 5 %:", "")
    yield from ("| metric | noise | seeds | any verdict |", "|---|---|--:|--:|", *together, "")
    yield from ("Where nothing differs, and even noise:", "")
    yield from ("| metric | seeds | claim | supported | refuted | undecided |", "|---|--:|---|--:|--:|--:|")
    for metric, seeds in product(known_kinds.METRICS, SIZES):
        result = known_kinds.measure("all equal", "even", seeds, repetitions // 4, metric)
        for name, tally in result.tallies.items():
            yield f"| {metric} | {seeds} | {name} | {_shares(tally, repetitions // 4)} |"


def _shares(tally: Tally, repetitions: int) -> str:
    counts = (tally.supported, tally.refuted, repetitions - tally.supported - tally.refuted)
    return " | ".join(percent(count, repetitions) for count in counts)


def document(repetitions: int = REPETITIONS) -> str:
    """Return the whole document."""
    quarter = repetitions // 4  # these shares are far from 0, so need less
    return "\n".join(
        (
            header(repetitions),
            *calibration_rounds.section(max(1, repetitions * 3 // 20)),
            "",
            fixed_header(repetitions),
            *marginal_section(repetitions),
            "",
            *clear_section(quarter),
            "",
            f"({quarter} repetitions.)",
            "",
            *bootstrap_section(repetitions),
            "",
            *kinds_section(repetitions),
            "",
        )
    )


def main() -> None:
    """Write the document."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration", description="Simulate the verdict.")
    parser.add_argument("--repetitions", type=int, default=REPETITIONS, help=f"of each experiment; {REPETITIONS}")
    parser.add_argument("--target", type=Path, help=f"file to write; {TARGET.relative_to(TARGET.parents[1])}")
    asked = parser.parse_args()
    if asked.repetitions < 4:
        parser.error("--repetitions: at least 4")
    if asked.repetitions != REPETITIONS and asked.target is None:
        parser.error("--repetitions: name a --target, so that the document is kept")
    target = asked.target or TARGET
    target.write_text(document(asked.repetitions), encoding="utf-8")
    print(target)


if __name__ == "__main__":
    main()
