"""One claim of each kind in experiments whose truth is known, of settings and metrics that are not the article's.

Every claim has arms of its own, so that errors add up as they would if claims shared nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.known_truth import ALL_NOISES, SEED, Result, Tally
from search.verdict.evidence import Row, Timing, checked
from search.verdict.wording import judged
from studies.asked import Protocols
from studies.claims import (
    ACCURACY,
    Claim,
    Metric,
    Reaches,
    Slower,
    as_good_as,
    as_good_as_any,
    better,
    better_in_time,
    memorizes,
    reaches,
    slower,
    sweet_spot,
    worse,
)
from studies.settings import Setting

LOSS = Metric("validation loss", "minimize", fraction=False)
METRICS: Mapping[str, Metric] = {"accuracy": ACCURACY, "loss": LOSS}
STATED = Protocols()
MEAN = 0.9  # of an arm whose value is 0
QUIET, LOUD = 100.0, 10.0  # where "uneven" and "skewed" noise is small, and where it is large


@dataclass(frozen=True)
class Arm:
    """What is true of a setting, in points of advantage: on a loss, by how much it is lower."""

    value: float = 0.0
    gap: float = 0.0
    noisy: bool = False  # whether it is of those settings whose runs scatter more


@dataclass(frozen=True)
class KnownClaim:
    """A claim, the truth of its settings, and the effect that it should find."""

    claim: Claim
    arms: Mapping[Setting, Arm]
    effect: float  # in the unit of the claim
    ratio: float = 1.0  # of the times of a to b


QUIETLY, NOISILY = Arm(), Arm(noisy=True)


def on_margins(metric: Metric) -> list[KnownClaim]:
    """Return claims of each kind with a truth that lies on the margin, where a wrong verdict is most probable."""
    return [
        _pair("better", better, Arm(0.5), NOISILY, effect=0.005),
        _pair("worse", worse, Arm(-0.5, noisy=True), QUIETLY, effect=0.005),
        _pair("as_good_as", as_good_as, Arm(-0.5, noisy=True), QUIETLY, effect=0.005),
        _several("as_good_as_any", Arm(-0.5, noisy=True), {"one": -5.0, "other": 0.0}, effect=0.005),
        _several("as_good_as_any_of_six", Arm(-0.5, noisy=True), dict.fromkeys("abcdef", 0.0), effect=0.005),
        _reaching("reaches", metric),
        _pair("slower", slower, QUIETLY, QUIETLY, effect=1.10, ratio=1.10),
        _pair("better_in_time", better_in_time, Arm(0.5), NOISILY, effect=0.005, ratio=0.8),
        _pair("better_in_less_time", better_in_time, Arm(3), NOISILY, effect=0.03, ratio=1.0),
        _pair("memorizes_gap", memorizes, Arm(-2, 0.5), NOISILY, effect=0.005),
        _pair("memorizes_gain", memorizes, Arm(0.5, 3), NOISILY, effect=0.03),
        _spot("sweet_spot_behind", {4: -5.0, 8: -0.5, 16: 0.0, 32: 0.5, 64: 0.5, 128: 0.5}, 0.005),
        _spot("sweet_spot_smaller", {4: -5.0, 8: -0.5, 16: 0.0, 32: 0.0, 64: -5.0}, 0.0),
    ]


def all_equal(metric: Metric) -> list[KnownClaim]:
    """Return the same claims about settings that do not differ, nor their times."""
    return [
        KnownClaim(
            known.claim,
            {setting: Arm(noisy=arm.noisy) for setting, arm in known.arms.items()},
            _no_effect(known.claim, metric),
        )
        for known in on_margins(metric)
    ]


def _no_effect(claim: Claim, metric: Metric) -> float:
    if isinstance(claim, Reaches):
        return metric.sign * MEAN
    return 1.0 if isinstance(claim, Slower) else 0.0


TRUTHS: Mapping[str, Callable[[Metric], list[KnownClaim]]] = {"on the margins": on_margins, "all equal": all_equal}


def _pair(
    name: str, kind: Callable[..., Claim], one: Arm, other: Arm, *, effect: float, ratio: float = 1.0
) -> KnownClaim:
    a, b = ({"of": name, "dropout": rate} for rate in (0.2, 0.0))
    arms = {Setting.of(a): one, Setting.of(b): other}
    return KnownClaim(kind(a, than=b, id=name), arms, effect, ratio)


def _several(name: str, one: Arm, others: Mapping[str, float], *, effect: float) -> KnownClaim:
    a, rivals = {"of": name, "kind": "own"}, {kind: {"of": name, "kind": kind} for kind in others}
    arms = {Setting.of(rivals[kind]): Arm(points) for kind, points in others.items()}
    return KnownClaim(as_good_as_any(a, list(rivals.values()), id=name), {Setting.of(a): one, **arms}, effect)


def _reaching(name: str, metric: Metric) -> KnownClaim:
    bar = metric.sign * (MEAN + 0.005)
    return KnownClaim(reaches({"of": name}, bar, id=name), {Setting.of({"of": name}): Arm(0.5, noisy=True)}, bar)


def _spot(name: str, values: Mapping[int, float], effect: float) -> KnownClaim:
    claim = sweet_spot("units", 16, among=list(values), at={"of": name}, id=name)
    arms = {claim.at.put("units", units): Arm(points, noisy=units <= 16) for units, points in values.items()}
    return KnownClaim(claim, arms, effect)


def simulate(
    truth: Sequence[KnownClaim], noise: str, seeds: int, metric: Metric, rng: np.random.Generator
) -> tuple[list[Row], list[Timing]]:
    """Draw one experiment: runs of every arm over the same seeds, and as many rounds of timing."""
    rows = [row for known in truth for row in _runs(known, noise, seeds, metric, rng)]
    return rows, [timing for known in truth if known.claim.timed for timing in _times(known, seeds, rng)]


def _runs(known: KnownClaim, noise: str, seeds: int, metric: Metric, rng: np.random.Generator) -> list[Row]:
    shape = (len(known.arms), seeds)
    sizes = np.array([LOUD if arm.noisy else QUIET for arm in known.arms.values()])
    true = np.array([(arm.value, arm.gap) for arm in known.arms.values()])[:, :, None] / 100
    common = rng.normal(0, 0.001, seeds)  # what a seed does to every arm
    ahead = true[:, 0] + common + ALL_NOISES[noise](rng, shape, sizes)
    values = metric.sign * (MEAN + ahead)  # a loss of -0.9 is as good as any other
    trained = values + metric.sign * (true[:, 1] + rng.normal(0, 0.002, shape))
    return [
        Row(
            setting,
            setting,
            STATED.stated,
            seed,
            values[at, seed],
            trained[at, seed],
            0.2,
            0.1,
            1000,
            test_value=values[at, seed],
        )
        for at, setting in enumerate(known.arms)
        for seed in range(seeds)
    ]


def _times(known: KnownClaim, rounds: int, rng: np.random.Generator) -> list[Timing]:
    load, own = rng.normal(0, 0.05, rounds), rng.normal(0, 0.02, (2, rounds))
    seconds = (known.ratio * np.exp(load + own[0]), np.exp(load + own[1]))
    return [Timing(setting, each.tolist(), None) for setting, each in zip(known.arms, seconds, strict=True)]


def measure(truth: str, noise: str, seeds: int, repetitions: int, metric: str) -> Result:
    """Judge a truth many times. Raises KeyError for what there is not."""
    of = METRICS[metric]
    known = TRUTHS[truth](of)
    rng = np.random.default_rng([SEED, seeds, *f"{truth} {noise} {metric}".encode()])
    result = Result({each.claim.id: Tally() for each in known})
    claims = [each.claim for each in known]
    for _ in range(repetitions):
        evidence = checked(*simulate(known, noise, seeds, of, rng), of, STATED)
        found = judged(claims, evidence, STATED.stated)
        for each, judgement in zip(known, found, strict=True):
            result.tallies[each.claim.id].add(judgement, each.effect)
        result.any_verdict += any(judgement.verdict != "undecided" for judgement in found)
    return result
