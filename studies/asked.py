"""What a study asks of its confirmation: its claims, complete, and how they are judged and told."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from studies import claims as kinds
from studies.claims import ACCURACY, AsGoodAsAny, Called, Claim, Metric, Pair, Reaches, SweetSpot
from studies.settings import Setting, is_number
from studies.space import Space


@dataclass(frozen=True)
class Protocols:
    """How the settings of claims are trained: as they are stated and, if `free` names parameters, tuned as well.

    Tuned: each setting takes these parameters from the best trial that the search has found near it. Claims are judged
    under each protocol as a family of their own.
    """

    free: tuple[str, ...] = ()
    stated: str = "stated"  # as stored
    tuned: str = "tuned"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of those that are used."""
        return (self.stated, self.tuned) if self.free else (self.stated,)


@dataclass(frozen=True)
class Layout:
    """Names in stored verdicts and their JSON: of the list of arms, of the two protocols and, where they stand among
    an arm's figures, of parameters."""

    arms: str = "arms"
    protocols: tuple[str, str] = ("stated", "tuned")
    parameters: tuple[tuple[str, str], ...] = ()  # (parameter, its name); if none, they stand under `params`

    @staticmethod
    def of(stored: Mapping[str, Any]) -> "Layout":
        """Return the layout that `dataclasses.asdict` wrote."""
        pairs = tuple((name, told) for name, told in stored["parameters"])
        return Layout(stored["arms"], tuple(stored["protocols"]), pairs)


@dataclass(frozen=True)
class Asked:
    """Claims whose settings are complete, and what is needed to judge them; made by `Asked.of_study`."""

    claims: tuple[Claim, ...]
    baseline: Setting
    metric: Metric = ACCURACY
    protocols: Protocols = Protocols()
    layout: Layout = Layout()

    @classmethod
    def of_study(
        cls,
        claims: Iterable[Claim],
        baseline: Mapping[str, Any],
        metric: Metric,
        free: tuple[str, ...] = (),
        *,
        space: Space | None = None,
        layout: Layout = Layout(),
    ) -> Self:
        """Return what a study of these claims asks; `free` names the parameters that are tuned for the second family.

        Without a `space` its parameters are those of the baseline. Without claims, the winner of the search and the
        baseline are confirmed alone. Raises ValueError for claims that do not go together (`studies.claims.completed`)
        and for parameters that are none.
        """
        complete = kinds.completed(claims, baseline, space.belonging if space else dict)
        return cls(complete, Setting.of(baseline), metric, Protocols(free, *layout.protocols), layout).checked(
            space or ()
        )

    def checked(self, names: Iterable[str]) -> Self:
        """Return itself. Raises ValueError for parameters that neither the baseline nor a space of these names has."""
        known = {*self.baseline, *names}
        for claim in self.claims:
            _check_known(claim, known)
        if unknown := sorted(set(self.protocols.free) - known):
            raise ValueError(f"{unknown[0]} is set free, which is no parameter of the baseline")
        return self

    @property
    def spots(self) -> tuple[SweetSpot, ...]:
        """The claims about a sweet spot."""
        return tuple(claim for claim in self.claims if isinstance(claim, SweetSpot))

    @property
    def tested(self) -> frozenset[Setting]:
        """The settings whose confirming runs are scored on the test data, beside the winner's and the baseline's."""
        return frozenset(claim.a for claim in self.claims if isinstance(claim, Reaches))

    @property
    def called(self) -> Called | None:
        """How settings are called, by the first claim that says so."""
        return next((claim.words.called for claim in self.claims if claim.words.called), None)

    def stated(self, winner: Mapping[str, Any]) -> list[Setting]:
        """Return every setting that is trained as it is stated, each once, in order: the baseline's and the claims'."""
        return sorted({self.baseline, *_needed(self.claims, winner)}, key=Setting.order)

    def tuned(self, winner: Mapping[str, Any]) -> list[Setting]:
        """Return the settings that are trained with the free parameters at their best as well, in order."""
        free = self.protocols.free
        again = [claim for claim in self.claims if tunable(claim, free)] if free else []
        return sorted(_needed(again, winner), key=Setting.order)

    def as_dict(self) -> dict[str, Any]:
        """Return it in JSON types, as it is stored with a study."""
        return {
            "claims": [claim.as_dict() for claim in self.claims],
            "baseline": dict(self.baseline),
            "metric": asdict(self.metric),
            "free": list(self.protocols.free),
            "layout": asdict(self.layout),
        }

    @classmethod
    def of(cls, stored: Mapping[str, Any], names: Iterable[str] = ()) -> Self:
        """Return what `as_dict` wrote, of a space of these names. Raises ValueError for what it has not."""
        try:
            claims = tuple(kinds.of(claim) for claim in stored["claims"])
            kinds.check_ids(claims)
            metric, free = Metric(**stored["metric"]), tuple(stored["free"])
            layout = Layout.of(stored["layout"]) if "layout" in stored else Layout()
            protocols = Protocols(free, *layout.protocols)
            return cls(claims, Setting.of(stored["baseline"]), metric, protocols, layout).checked(names)
        except (KeyError, TypeError) as error:
            raise ValueError(f"the claims make no sense: {error}") from None


def tunable(claim: Claim, free: Iterable[str]) -> bool:
    """Say whether a claim is one still when these parameters are tuned: it is not about them."""
    names = set(free)
    if isinstance(claim, Reaches):
        return False  # of a setting as it is stated: what is tuned is chosen
    if isinstance(claim, Pair):
        return claim.a.without(names) != claim.b.without(names)
    if isinstance(claim, AsGoodAsAny):
        return all(claim.a.without(names) != other.without(names) for other in claim.others)
    return not (isinstance(claim, SweetSpot) and claim.parameter in names)


def _needed(claims: Sequence[Claim], winner: Mapping[str, Any]) -> set[Setting]:
    """Return the claims' settings; the winner's number joins those of a sweet spot, since it may be the best."""
    found = {setting for claim in claims for setting in claim.settings()}
    spots = [claim for claim in claims if isinstance(claim, SweetSpot) and is_number(winner.get(claim.parameter))]
    return found | {claim.at.put(claim.parameter, winner[claim.parameter]) for claim in spots}


def _check_known(claim: Claim, known: Collection[str]) -> None:
    for setting in claim.settings():
        if unknown := sorted(set(setting).difference(known)):
            raise ValueError(f"the claim {claim.id!r} names {unknown[0]}, which is no parameter of the baseline")
