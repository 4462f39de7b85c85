"""Runs and timings with known means, for the tests of the verdict."""

from collections.abc import Iterable, Mapping

import numpy as np

from search.verdict.claims import Judgement
from search.verdict.evidence import Row, Timing
from search.verdict.judge import ArmSummary, Verdict, judge
from studies.built_in.sweet_spot import article_claims
from studies.claims import completed
from studies.settings import Setting
from studies.sweet_spot import ARTICLE, BASELINE

WIDTHS = {4: -0.10, 10: -0.02, 16: -0.01, 25: 0.0, 40: 0.001, 64: 0.002, 100: 0.002}  # 25 is just right
LR = 0.02


def run(width: int, lr: float, protocol: str, seed: int, *figures) -> Row:  # type: ignore[no-untyped-def]
    """Make a run of a width; the figures are those of `Row`, in its order."""
    setting = Setting.of({"hidden_units": width, "lr": LR})
    return Row(setting, setting.put("lr", lr), protocol, seed, *figures)


def of_width(width: int) -> Setting:
    return Setting.of({"hidden_units": width})


def width_of(row: Row | Timing | ArmSummary) -> int:
    return int(row.setting["hidden_units"])


def runs(
    accuracy: Mapping[int, float] | None = None,
    gap: Mapping[int, float] | None = None,
    seeds: int = 10,
    protocol: str = "article-lr",
    noise: float = 0.001,
) -> list[Row]:
    """Make runs around 95 %, with noise that is drawn from a fixed seed."""
    rng = np.random.default_rng(7)
    rows = []
    for width, effect in (accuracy or WIDTHS).items():
        for seed in range(seeds):
            value = 0.95 + effect + rng.normal(0, noise)
            wide = (gap or {}).get(width, 0.01) + rng.normal(0, noise)
            curve = {1: 0.0, 10: wide / 2, 100: wide}
            rows.append(run(width, LR, protocol, seed, value, value + wide, 0.2, 0.1, 784 * width, curve))
    return rows


def timings(ratio: float = 2.0, rounds: int = 5, noise: float = 0.01) -> list[Timing]:
    rng = np.random.default_rng(8)
    seconds = {25: 1.0, 100: ratio}
    return [
        Timing(of_width(width), (mean * np.exp(rng.normal(0, noise, rounds))).tolist(), 1000 * width)
        for width, mean in seconds.items()
    ]


def judged(rows: Iterable[Row], timings: Iterable[Timing], **margins: float) -> Verdict:
    """Judge the article's claims."""
    claims = completed(article_claims(**margins), BASELINE)
    return judge(claims, rows, timings, protocols=ARTICLE.protocols, layout=ARTICLE.layout)


def claims(verdict: Verdict) -> dict[str, Judgement]:
    return {claim.id: claim for claim in verdict.claims}


def verdicts(verdict: Verdict) -> dict[str, str]:
    return {claim.id: claim.verdict for claim in verdict.claims}
