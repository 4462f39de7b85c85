"""What a study claims, stated as data before a run: two settings compared, or a value of a parameter singled out.

    better(a, than=b, by=0.005)         a is better than b by more than the margin
    worse(a, than=b, by=0.005)          the same of b and a, told from the side of a
    as_good_as(a, than=b, within=...)   a is not worse than b by more than the margin; it may be better
    as_good_as_any(a, [b, c], within=)  the same of a and the best of several, whichever it is
    slower(a, than=b, by=1.10)          an epoch of a takes more than 1.10 times as long as one of b
    better_in_time(a, than=b, by=0.005) a is better than b by more than the margin, and an epoch of it takes no longer
    reaches(a, 0.99)                    a does better than the value on the test data
    memorizes(a, than=b, gap=, by=)     the gap between training and validation is wider with a, which is no better
    sweet_spot("units", 25, among=[..]) the value is within the margin of the best, and no smaller one is

A setting is a dict of parameters of the study's space. What it lacks is the baseline's. "Better" is in the study's
direction: higher where it maximizes, lower where it minimizes. Margins are in the metric's own unit: 0.005 of an
accuracy is half a point. How the claims are decided: `search/verdict/claims.py`.
"""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal, Self

from studies.settings import Setting, is_number, short

Params = Mapping[str, Any]
Belonging = Callable[[Params], Params]  # from parameters to those of them that occur together
Direction = Literal["maximize", "minimize"]
MARGIN = 0.005  # half a point of accuracy
TIME_RATIO = 1.10


@dataclass(frozen=True)
class Metric:
    """What is compared: its name in sentences, which way is better, and whether it is a fraction, told in points."""

    name: str = "validation accuracy"
    direction: Direction = "maximize"
    fraction: bool = True

    @property
    def sign(self) -> int:
        """1 where higher is better, else -1."""
        return 1 if self.direction == "maximize" else -1

    @property
    def short(self) -> str:
        """Its name in JSON."""
        return "accuracy" if self.fraction else "value"

    @staticmethod
    def named(name: str, direction: Direction) -> "Metric":
        """Return the metric of this name; an accuracy is a fraction, of others that is not known."""
        return Metric(name, direction, "accuracy" in name)


ACCURACY = Metric()


@dataclass(frozen=True)
class Called:
    """How settings are called in sentences: by the value of one parameter, "25 units"."""

    parameter: str
    unit: str  # "units"
    one: str  # "width": a value of it
    many: str  # "widths"
    axis: str  # "hidden units": of a figure


@dataclass(frozen=True)
class Words:
    """A claim's own words, where those that its kind would find are not to be used."""

    headline: str | None = None  # before its hypothesis: "10 hidden units struggle to learn"
    title: str | None = None  # of its card
    called: Called | None = None


@dataclass(frozen=True, kw_only=True)
class Claim(ABC):
    """What all kinds have in common; made by the functions below, which check."""

    kind: ClassVar[str]
    timed: ClassVar[bool] = False  # whether its settings are timed, each alone
    id: str
    words: Words = Words()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.=+-]+", self.id):
            raise ValueError(f"the id of a claim has letters, digits and . = + - _ only, not so {self.id!r}")

    @property
    def title(self) -> str:
        """What stands over it."""
        return self.words.title or self.words.headline or self.id

    @abstractmethod
    def settings(self) -> tuple[Setting, ...]:
        """Return the settings that must be trained for it."""

    @abstractmethod
    def on(self, baseline: Params, belonging: Belonging = dict) -> Self:
        """Return the claim with what its settings lack taken from the baseline, and without what does not occur."""

    @abstractmethod
    def margins(self) -> dict[str, float]:
        """Return the margins: `metric`, `gap`, `time_ratio`, whichever it has."""

    def as_dict(self) -> dict[str, Any]:
        """Return the claim in JSON types."""
        return {"kind": self.kind, **asdict(self), **self._settings_json()}

    def identity(self) -> dict[str, Any]:
        """Return what makes it this claim, in JSON types: all but its words."""
        return {name: value for name, value in self.as_dict().items() if name != "words"}

    @abstractmethod
    def _settings_json(self) -> dict[str, Any]: ...


@dataclass(frozen=True, kw_only=True)
class Pair(Claim):
    """A claim that compares two settings."""

    a: Setting
    b: Setting

    def settings(self) -> tuple[Setting, ...]:
        """Return both."""
        return (self.a, self.b)

    def on(self, baseline: Params, belonging: Belonging = dict) -> Self:
        """Return the claim about the two as the baseline completes them. Raises ValueError if they are then one."""
        a, b = (Setting.of(belonging(each.over(baseline))) for each in (self.a, self.b))
        _check_apart(self.id, a, b)
        return replace(self, a=a, b=b)

    def _settings_json(self) -> dict[str, Any]:
        return {"a": dict(self.a), "b": dict(self.b)}


@dataclass(frozen=True, kw_only=True)
class Better(Pair):
    """a is better than b by more than the margin; `told_of_b` says of b that it is worse."""

    kind = "better"
    by: float
    told_of_b: bool = False

    def margins(self) -> dict[str, float]:
        """Return the metric's."""
        return {"metric": self.by}


@dataclass(frozen=True, kw_only=True)
class AsGoodAs(Pair):
    """a is not worse than b by more than the margin."""

    kind = "as_good_as"
    within: float

    def margins(self) -> dict[str, float]:
        """Return the metric's."""
        return {"metric": self.within}


@dataclass(frozen=True, kw_only=True)
class AsGoodAsAny(Claim):
    """a is not worse than the best of several others by more than the margin.

    With `no_larger` the others are, beside those that are named, the best that the search found of at most as many
    parameters as a, and whatever else the study's claims have trained of at most as many. What a shares with all that
    are named is as in a: others of another width tell of the width alone.
    """

    kind = "as_good_as_any"
    a: Setting
    others: tuple[Setting, ...]
    within: float
    no_larger: bool = False

    def settings(self) -> tuple[Setting, ...]:
        """Return a and the others that are named."""
        return (self.a, *self.others)

    def on(self, baseline: Params, belonging: Belonging = dict) -> Self:
        """Return the claim as the baseline completes it. Raises ValueError where a is then one of the others."""
        a, *others = (Setting.of(belonging(each.over(baseline))) for each in (self.a, *self.others))
        for other in others:
            _check_apart(self.id, a, other)
        return replace(self, a=a, others=tuple(others))

    @property
    def alike(self) -> Setting:
        """What a shares with all that it is compared with; nothing, where none is named."""
        same = [name for name in self.a if all(name in each and each[name] == self.a[name] for each in self.others)]
        return self.a.without(self.a.keys() - same) if self.others else Setting(())

    def margins(self) -> dict[str, float]:
        """Return the metric's."""
        return {"metric": self.within}

    def _settings_json(self) -> dict[str, Any]:
        return {"a": dict(self.a), "others": [dict(other) for other in self.others]}


@dataclass(frozen=True, kw_only=True)
class Reaches(Claim):
    """a does better than a value on the test data: in the mean over seeds that nothing was chosen by."""

    kind = "reaches"
    a: Setting
    value: float  # of the metric

    def settings(self) -> tuple[Setting, ...]:
        """Return the one that it is about."""
        return (self.a,)

    def on(self, baseline: Params, belonging: Belonging = dict) -> Self:
        """Return the claim as the baseline completes it."""
        return replace(self, a=Setting.of(belonging(self.a.over(baseline))))

    def margins(self) -> dict[str, float]:
        """Return none: it has a value to reach."""
        return {}

    def _settings_json(self) -> dict[str, Any]:
        return {"a": dict(self.a)}


@dataclass(frozen=True, kw_only=True)
class Slower(Pair):
    """An epoch of a takes more than `by` times as long as one of b."""

    kind = "slower"
    timed = True
    by: float

    def margins(self) -> dict[str, float]:
        """Return that of the ratio of times."""
        return {"time_ratio": self.by}


@dataclass(frozen=True, kw_only=True)
class BetterInTime(Pair):
    """a is better than b by more than the margin, and an epoch of it takes less than `time` times as long."""

    kind = "better_in_time"
    timed = True
    by: float
    time: float

    def margins(self) -> dict[str, float]:
        """Return the metric's and that of the ratio of times."""
        return {"metric": self.by, "time_ratio": self.time}


@dataclass(frozen=True, kw_only=True)
class Memorizes(Pair):
    """a memorizes instead of learning: its gap is wider than b's by more than `gap`, and it is not better by `by`."""

    kind = "memorizes"
    gap: float
    by: float

    def margins(self) -> dict[str, float]:
        """Return the gap's and the metric's."""
        return {"gap": self.gap, "metric": self.by}


@dataclass(frozen=True, kw_only=True)
class SweetSpot(Claim):
    """A value of a parameter is within the margin of the best one, and no smaller value is.

    It is compared with all values of `among`, with the value of the search's winner, and with whatever else the study's
    claims have trained at the setting `at`. Numbers are ordered by size, words as in `among`.
    """

    kind = "sweet_spot"
    parameter: str
    value: Any
    among: tuple[Any, ...]
    at: Setting
    within: float
    idle: tuple[str, ...] = ()  # parameters of `at` that do not occur beside the value

    def settings(self) -> tuple[Setting, ...]:
        """Return one for each value."""
        return tuple(self.at.put(self.parameter, value) for value in self.among)

    @property
    def spot(self) -> Setting:
        """The setting that is claimed to be the sweet spot."""
        return self.at.without(self.idle).put(self.parameter, self.value)

    def on(self, baseline: Params, belonging: Belonging = dict) -> Self:
        """Return the claim at the setting as the baseline completes it, with all that occurs beside any value."""
        at = self.at.over(baseline).without([self.parameter])
        occurs = belonging(at.put(self.parameter, self.value))
        return replace(self, at=at, idle=tuple(name for name in at if name not in occurs))

    def margins(self) -> dict[str, float]:
        """Return the metric's."""
        return {"metric": self.within}

    def line(self, settings: Iterable[Setting]) -> list[Setting]:
        """Return those settings that differ from its own in the parameter only, in order of its values.

        A setting has all that occurs in it, so one that has nothing else than `at` has what it takes from there.
        """
        own = [each for each in settings if self.parameter in each]
        found = [each for each in own if self.at.holds(each.without([self.parameter]))]
        return sorted(found, key=lambda each: self._order(each[self.parameter]))

    def _order(self, value: Any) -> tuple[bool, float]:
        if is_number(value):
            return (False, float(value))
        return (True, float(self.among.index(value) if value in self.among else len(self.among)))

    def _settings_json(self) -> dict[str, Any]:
        return {"at": dict(self.at), "among": list(self.among)}

    def as_dict(self) -> dict[str, Any]:
        """Return the claim in JSON types; where everything occurs beside the value, as it always was."""
        return {name: value for name, value in super().as_dict().items() if name != "idle" or value}


KINDS: Mapping[str, type[Claim]] = {
    kind.kind: kind for kind in (Better, AsGoodAs, AsGoodAsAny, Reaches, Slower, BetterInTime, Memorizes, SweetSpot)
}


def better(a: Params, than: Params, by: float = MARGIN, *, id: str | None = None, words: Words = Words()) -> Better:
    """Claim that `a` is better than `than` by more than a margin.

    `id` and `words` are found from the settings unless given. Raises ValueError for a bad margin and equal settings.
    """
    one, other = _pair(a, than, by)
    return Better(id=id or _named(one, "better-than", other), words=words, a=one, b=other, by=by)


def worse(a: Params, than: Params, by: float = MARGIN, *, id: str | None = None, words: Words = Words()) -> Better:
    """Claim that `than` is better than `a` by more than a margin, in words about `a`. Raises as `better`."""
    one, other = _pair(a, than, by)
    return Better(id=id or _named(one, "worse-than", other), words=words, a=other, b=one, by=by, told_of_b=True)


def as_good_as(
    a: Params, than: Params, within: float = MARGIN, *, id: str | None = None, words: Words = Words()
) -> AsGoodAs:
    """Claim that `a` is not worse than `than` by more than a margin. Raises as `better`."""
    one, other = _pair(a, than, within)
    return AsGoodAs(id=id or _named(one, "as-good-as", other), words=words, a=one, b=other, within=within)


def as_good_as_any(
    a: Params,
    others: Sequence[Params],
    within: float = MARGIN,
    *,
    no_larger: bool = False,
    id: str | None = None,
    words: Words = Words(),
) -> AsGoodAsAny:
    """Claim that `a` is not worse than the best of `others` by more than a margin, whichever that is.

    `no_larger` adds to the others what the search finds best of at most as many parameters, and what else the study's
    claims have trained of at most as many. Raises as `better`, and where there are no others.
    """
    _check_margin(within, 0)
    one, rivals = Setting.of(a), tuple(map(Setting.of, others))
    if not (rivals or no_larger) or one in rivals or len(set(rivals)) < len(rivals):
        raise ValueError(f"others are settings that differ from each other and from {one}, at least one of them")
    name = id or _slug(f"{str(one) or 'baseline'} as-good-as-any")
    return AsGoodAsAny(id=name, words=words, a=one, others=rivals, within=within, no_larger=no_larger)


def reaches(a: Params, value: float, *, id: str | None = None, words: Words = Words()) -> Reaches:
    """Claim that `a` does better on the test data than a value of the metric, in the mean over fresh seeds.

    Raises ValueError for a value that is no number.
    """
    if not (is_number(value) and math.isfinite(value)):
        raise ValueError(f"what is to be reached is a number, not {value!r}")
    one = Setting.of(a)
    name = id or _slug(f"{str(one) or 'baseline'} reaches {short(value)}")
    return Reaches(id=name, words=words, a=one, value=value)


def slower(a: Params, than: Params, by: float = TIME_RATIO, *, id: str | None = None, words: Words = Words()) -> Slower:
    """Claim that an epoch of `a` takes more than `by` times as long as one of `than`. Raises as `better`."""
    one, other = _pair(a, than, by, least=1)
    return Slower(id=id or _named(one, "slower-than", other), words=words, a=one, b=other, by=by)


def better_in_time(
    a: Params, than: Params, by: float = MARGIN, time: float = 1.0, *, id: str | None = None, words: Words = Words()
) -> BetterInTime:
    """Claim that `a` is better than `than` by more than a margin, and that an epoch of it takes less than `time` times
    as long.

    Both train for as many epochs. Raises as `better`, and for a time that is not above 0.
    """
    one, other = _pair(a, than, by)
    if not (is_number(time) and 0 < time < math.inf):
        raise ValueError(f"a ratio of times is a number above 0, not so {time!r}")
    return BetterInTime(
        id=id or _named(one, "better-in-time-than", other), words=words, a=one, b=other, by=by, time=time
    )


def memorizes(
    a: Params, than: Params, gap: float = MARGIN, by: float = MARGIN, *, id: str | None = None, words: Words = Words()
) -> Memorizes:
    """Claim that `a` has a gap wider than that of `than` by more than `gap`, without being better by more than `by`.

    Raises as `better`.
    """
    one, other = _pair(a, than, by)
    _check_margin(gap, 0)
    return Memorizes(id=id or _named(one, "memorizes-beside", other), words=words, a=one, b=other, gap=gap, by=by)


def sweet_spot(
    parameter: str,
    value: Any,
    among: Sequence[Any],
    *,
    at: Params | None = None,
    within: float = MARGIN,
    id: str | None = None,
    words: Words = Words(),
) -> SweetSpot:
    """Claim that a value of a parameter is within the margin of the best of several, and that no smaller value is.

    Raises ValueError for a bad margin, and where the value is not among several that differ.
    """
    _check_margin(within, 0)
    if value not in among or len(set(among)) < max(2, len(among)):
        raise ValueError(f"a sweet spot is one of at least two different values, not so {value!r} among {list(among)}")
    if parameter in (at or {}):
        raise ValueError(f"{parameter} is what varies, so it has no place in at={dict(at or {})}")
    name = id or f"{_slug(f'{parameter}={short(value)}')}-sweet-spot"
    fixed, values = Setting.of(at or {}), tuple(among)
    return SweetSpot(id=name, words=words, parameter=parameter, value=value, among=values, at=fixed, within=within)


def of(stored: Mapping[str, Any]) -> Claim:
    """Return the claim that `as_dict` wrote. Raises ValueError for what it has not."""
    try:
        fields = {name: value for name, value in stored.items() if name != "kind"}
        for name in fields.keys() & {"a", "b", "at"}:
            fields[name] = Setting.of(fields[name])
        if "others" in fields:
            fields["others"] = tuple(map(Setting.of, fields["others"]))
        for name in fields.keys() & {"among", "idle"}:
            fields[name] = tuple(fields[name])
        return KINDS[stored["kind"]](**{**fields, "words": _words(fields.get("words") or {})})
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{short(stored)} is no claim: {error}") from None


def _words(stored: Mapping[str, Any]) -> Words:
    called = stored.get("called")
    return Words(**{**stored, "called": Called(**called) if called else None})


def completed(claims: Iterable[Claim], baseline: Params, belonging: Belonging = dict) -> tuple[Claim, ...]:
    """Return the claims with what their settings lack taken from the baseline, and without what does not occur.

    Raises ValueError for an id given twice, and for a comparison of what is then one setting.
    """
    found = tuple(claim.on(baseline, belonging) for claim in claims)
    check_ids(found)
    return found


def check_ids(claims: Iterable[Claim]) -> None:
    """Raise ValueError for an id given twice."""
    ids = [claim.id for claim in claims]
    if twice := {name for name in ids if ids.count(name) > 1}:
        raise ValueError(f"two claims have the id {sorted(twice)[0]!r}; give one of them another: id=")


def _pair(a: Params, b: Params, margin: float, least: float = 0) -> tuple[Setting, Setting]:
    _check_margin(margin, least)
    one, other = Setting.of(a), Setting.of(b)
    _check_apart("a claim", one, other)
    return one, other


def _check_margin(margin: float, least: float) -> None:
    if not (is_number(margin) and math.isfinite(margin) and margin >= least):
        raise ValueError(f"margins are numbers of {least} or more, not so {margin!r}")


def _check_apart(name: str, a: Setting, b: Setting) -> None:
    if a == b:
        raise ValueError(f"{name} compares {a} with itself")


def _named(a: Setting, kind: str, b: Setting) -> str:
    one, other = apart(a, b)
    return _slug(f"{str(one) or 'baseline'} {kind} {str(other) or 'baseline'}")


def apart(a: Setting, b: Setting) -> tuple[Setting, Setting]:
    """Return both settings without what they share."""
    shared = [name for name in a if name in b and a[name] == b[name]]
    return a.without(shared), b.without(shared)


def _slug(text: str) -> str:
    return re.sub(r"[^\w.=+-]+", "-", text).strip("-")
