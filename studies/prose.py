"""What the report says beside its figures: sentences that fit any study, where it brings none of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from studies.asked import Asked
from studies.settings import short


@dataclass(frozen=True)
class Prose:
    """Words about a study; each pair is of the stated and of the tuned protocol."""

    last_answers: bool = False  # the last claim is what the study's question asks
    source: str = "published"  # who printed the figures that the baseline's are set beside
    claims: str = "the claims"  # what the verdict is on
    heading: str = "The claims"
    together: str = "all claims together"
    intro: str = ""  # of the page
    length: str = ""  # after the epochs of the confirming runs
    quick: str = ""  # after those of a quick look
    data: str = "data"  # what is learnt and scored
    baseline: str = "the baseline"
    baseline_note: str = "the study's own setting"
    protocols: tuple[str, str] = ("as they are stated", "")
    legends: tuple[str, str] = ("as stated", "")
    column: str = "protocol"  # of tables, over the legends
    each_tuned: str = ""  # "each width at its own best lr"
    each_tuned_long: str = ""
    at: tuple[str, str] = ("As the claims are stated", "")
    captioned: str = ""  # after what is drawn of the stated protocol
    diverged: str = "settings"  # what runs belong to that diverged
    diverged_short: str = "settings"
    network: str = "as the study has it"
    split: str = ""  # before the fingerprint of the split
    tuned_row: str = "tuned for {name}"
    labels: Mapping[str, str] = field(default_factory=dict)  # of parameters, in the heads of tables
    axes: Mapping[str, str] = field(default_factory=dict)  # of parameters, at figures
    formats: Mapping[str, str] = field(default_factory=dict)  # of parameters, in tables
    space: str = ""  # the parameters that the search varies


def prose_of(asked: Asked, parameters: Mapping[str, object]) -> Prose:
    """Return words that follow from what a study asks."""
    free = " and ".join(asked.protocols.free)
    return Prose(
        protocols=("as they are stated", f"with {free} at the best found near each"),
        legends=("as stated", f"best {free} found for each"),
        each_tuned=f"each setting at its own best {free}",
        each_tuned_long=f"each setting at its own best {free}",
        at=("As the claims are stated", f"At the best {free} found for each"),
        captioned=", as stated" if free else "",
        baseline_note=f"the study's own setting, {', '.join(f'{k} {short(v)}' for k, v in asked.baseline.items())}",
        space=" and ".join(parameters),
    )
