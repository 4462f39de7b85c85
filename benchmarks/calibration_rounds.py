"""The part of `docs/calibration.md` on confirmations that are judged after every seed: errors, coverage, cost.

python -m benchmarks.calibration_rounds --repetitions 40        # this part alone, on standard output
"""

import argparse
from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks import known_kinds
from benchmarks.known_rounds import LIMIT, Counted, measure
from benchmarks.known_truth import ALL_NOISES, LIKELY, ON_MARGIN, ONE_BEST, SEED, Truth, simulate
from search.verdict.boundary import EFFECT, FIRST, SKEW
from studies.asked import Asked
from studies.claims import ACCURACY
from studies.settings import Setting
from studies.sweet_spot import ARTICLE

KINDS = "one claim of each kind, eight in all"
TRUTHS = (ON_MARGIN, ONE_BEST)
HARD = ("skewed", "bimodal")
SPOT = "25-just-right"  # the only claim of ONE_BEST that lies on its margin

INTRO = f"""## After every seed

New confirmations are judged after every seed from {FIRST} on, and end when all claims are settled or after {LIMIT}
seeds. Each was played as it is trained: arms that no open claim needs get no more seeds. The rule is in
`search/verdict/boundary.py`: an always-valid t boundary (a mixture over effects of {EFFECT:g} standard deviations),
widened by 1 + {SKEW:g} / sqrt(n). What is counted is what stands at the end. Noise of a run is as above, or

- *heavy*: Student's t of 3 degrees, as large as uneven noise;
- *bimodal*: up to 25 units half of the seeds end 0.8 points below the others;
- *rare*: up to 25 units one seed in five ends 1 point below the others. **This is beyond the rule**: with {FIRST}
  seeds, one confirmation in nine sees none of the bad ones, and no interval can know of what it has not seen.

*Any wrong* is the share of confirmations with at least one wrong verdict (at most 5 %), *ci95 holds* the least share of
the claims', at the end, in which the interval that is shown holds the true effect (at least 95 %). The claim about time
is judged once, by Student's t, so it holds in 95 %; it is left out of that column.
"""


def kinds(noise: str, repetitions: int) -> Counted:
    """Play claims of each kind on their margins."""
    known = known_kinds.on_margins(ACCURACY)
    asked = Asked(tuple(each.claim for each in known), Setting.of({}), ACCURACY)
    rng = np.random.default_rng([SEED, *f"rounds kinds {noise}".encode()])
    effects = {each.claim.id: each.effect for each in known}
    return measure(
        asked, lambda draw: known_kinds.simulate(known, noise, LIMIT, ACCURACY, draw), effects, repetitions, rng
    )


def article(truth: Truth, noise: str, repetitions: int) -> Counted:
    """Play the article's claims."""
    rng = np.random.default_rng([SEED, *f"rounds {truth.name} {noise}".encode()])
    effects = truth.effects()
    return measure(ARTICLE, lambda draw: simulate(truth, ALL_NOISES[noise], LIMIT, draw), effects, repetitions, rng)


def _percent(count: float, of: int) -> str:
    return f"{100 * count / of:.1f} %"


def _family(name: str, noise: str, found: Counted, repetitions: int, claims: Sequence[str]) -> str:
    tallies = [found.tallies[claim] for claim in claims]
    wrong = found.any_verdict if len(claims) > 1 else sum(each.supported + each.refuted for each in tallies)
    held = min(found.tallies[claim].covered for claim in claims if "slower" not in claim)
    return f"| {name} | {noise} | {repetitions} | {_percent(wrong, repetitions)} | {_percent(held, repetitions)} |"


def _claims(noise: str, found: Counted, repetitions: int) -> Iterator[str]:
    for name, tally in found.tallies.items():
        counts = (tally.supported, tally.refuted, tally.covered, tally.covered_corrected)
        yield f"| {noise} | {name} | {' | '.join(_percent(count, repetitions) for count in counts)} |"


def cost(repetitions: int) -> Iterator[str]:
    """Yield the lines on what a clear case costs."""
    found = article(LIKELY, "uneven", repetitions)
    half, most = 100 * np.quantile(found.shares, [0.5, 0.9])
    yield f"Where the truth is clear (*{LIKELY.name}*, below; uneven noise; {repetitions} repetitions):"
    yield f"{_percent(found.settled, repetitions)} end with all four claims settled; the median after"
    yield f"{np.median(found.seeds):.0f} seeds of the arm with most, and with {half:.0f} % of the runs of {LIMIT} seeds"
    yield f"for every arm (nine in ten with at most {most:.0f} %)."


def section(repetitions: int) -> Iterator[str]:
    """Yield the lines of this part; where errors are rare, half as many repetitions do."""
    yield from INTRO.splitlines()
    yield ""
    yield "n is the number of confirmations; the standard error of a share of 5 % is 0.9 points of 600, 1.3 of 300."
    yield ""
    yield from ("| claims, on their margins | noise | n | any wrong | ci95 holds |", "|---|---|--:|--:|--:|")
    each: list[str] = []
    many = {noise: repetitions if noise in HARD else max(1, repetitions // 2) for noise in ALL_NOISES}
    for noise, n in many.items():
        found = kinds(noise, n)
        yield _family(KINDS, noise, found, n, list(found.tallies))
        each += _claims(noise, found, n)
    for truth in TRUTHS:
        for noise, n in many.items():
            found = article(truth, noise, n)
            claims = list(found.tallies) if truth is ON_MARGIN else [SPOT]
            yield _family(f"the article's: {truth.name}", noise, found, n, claims)
    yield from ("", *cost(repetitions), "")
    yield from (
        "| noise | claim | supported | refuted | ci95 holds | corrected holds |",
        "|---|---|--:|--:|--:|--:|",
        *each,
    )


def main() -> None:
    """Print the part."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration_rounds", description="Play confirmations.")
    parser.add_argument("--repetitions", type=int, default=40, help="of each row; 40")
    for line in section(parser.parse_args().repetitions):
        print(line, flush=True)


if __name__ == "__main__":
    main()
