"""What our attributes of studies and trials look like in SQL.

Anybody with access to the database can write into them: the dashboard, Optuna's command line, another version. So they
are checked when a study is opened, and everything behind that may take them for what they are. A trial that has ended
is not: it is left out of what it does not fit, as `nonsense` says.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, get_args

import optuna
from optuna.trial import FrozenTrial

from model.network.arithmetic import Precision
from model.network.way import WAYS
from search.errors import StoredError
from studies.aims import AIMS
from studies.spec import PRECISION

Check = Callable[[Any], bool]


def _number(value: Any) -> bool:
    return type(value) in (int, float)


def _whole(value: Any) -> bool:
    return type(value) is int and value >= 0


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _truth(value: Any) -> bool:
    return isinstance(value, bool)


def _one_of(names: Collection[str]) -> Check:
    return lambda value: _text(value) and value in names


def _optional(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _either(one: Check, other: Check) -> Check:
    return lambda value: one(value) or other(value)


def _list(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _record(**checks: Check) -> Check:
    """Check the named entries of an object; it may have others."""
    return lambda value: isinstance(value, dict) and all(name in value and checks[name](value[name]) for name in checks)


def _only(**checks: Check) -> Check:
    """Check the entries of an object that has no others."""
    return lambda value: _record(**checks)(value) and len(value) == len(checks)


def _by_epoch(value: Any) -> bool:
    return isinstance(value, dict) and all(epoch.isdecimal() and _number(gap) for epoch, gap in value.items())


def _stated(value: Any) -> bool:
    known = _record(space=_record(), epochs=_whole)(value) and _list(_text)(value.get("conditional", []))
    known = known and value.get("against") in (None, *AIMS)
    known = known and _one_of(get_args(Precision))(value.get("precision", PRECISION))
    return known and (value.get("wider") is None or _wider(value["wider"]))


def _wider(value: Any) -> bool:
    whole = isinstance(value, dict) and _text(value.get("from")) and isinstance(value.get("ranges"), dict)
    return whole and all(_list(_number)(ends) and len(ends) == 2 for ends in value["ranges"].values())


_arm = _either(
    _only(protocol=_text, width=_whole, lr=_number, lr_from=_optional(_whole), role=_optional(_text)),
    _only(protocol=_text, setting=_record(), params=_record(), source=_optional(_whole), role=_optional(_text)),
)
_timed = _either(
    _only(width=_whole, seconds_per_epoch=_list(_number), flops_per_epoch=_whole),
    _only(setting=_record(), seconds_per_epoch=_list(_number), flops_per_epoch=_whole),
)
_plan = {"search": _text, "finished": _whole, "winner": _whole, "arms": _list(_arm)}

STUDY: Mapping[str, Check] = {
    "fingerprint": _stated,
    "seed": _whole,
    "question": _text,
    "claims": _record(claims=_list(_record(kind=_text, id=_text)), metric=_record(name=_text), free=_list(_text)),
    "method": _optional(_text),
    "study_file": _record(name=_text, sha256=_text, text=_text),
    "built_in": _text,
    "budget": _whole,
    "copied": _list(_whole),
    "confirm": _record(seeds=_whole, epochs=_optional(_whole)),
    "asked": _text,
    "stopped": _truth,
    "done": _record(),
    "trouble": _optional(_text),
    "confirmation": _text,
    "search": _text,
    "plan": _either(_only(**_plan), _only(**_plan, rule=_text)),
    "rounds": _record(rounds=_list(_record(seeds=_whole, arms=_list(_whole))), ended=_optional(_text)),
    "timing": _either(_record(device=_text, widths=_list(_timed)), _record(device=_text, settings=_list(_timed))),
}
TRIAL: Mapping[str, Check] = {
    **dict.fromkeys(("baseline",), _truth),
    **dict.fromkeys(("worker", "reason", "protocol", "role", "train_on", "score_on", "device", "torch"), _text),
    **dict.fromkeys(("cpu", "instructions", "mkl", "trainer"), _text),
    "precision": _one_of(get_args(Precision)),
    "way": _one_of(WAYS),
    **dict.fromkeys(("init_seed", "order_seed", "first_epoch", "batch", "epochs", "threads", "parameters"), _whole),
    **dict.fromkeys(("seed_index", "retry", "retry_of", "lr_from", "fixed"), _whole),
    **dict.fromkeys(("train_accuracy", "train_loss", "val_accuracy", "val_loss"), _number),
    **dict.fromkeys(("test_accuracy", "test_loss", "before_accuracy", "before_loss", "gap", "seconds"), _number),
    "seconds_per_epoch": _number,
    "gap_by_epoch": _by_epoch,
    "from": _record(study=_text, number=_whole),
    "stints": _list(lambda segment: _list(_whole)(segment) and len(segment) in (3, 4)),
}


def check_study(study: optuna.Study) -> None:
    """Raise `StoredError`, a line that names it, for an attribute of ours that is not what we write there.

    Of trials those are checked that somebody may work on; one that has ended can be left out.
    A study without our fingerprint is somebody else's and may hold what it likes.
    """
    try:
        attrs = study.user_attrs
        trials = study.get_trials(deepcopy=False) if "fingerprint" in attrs else []  # all, since Optuna reads them
    except ValueError as error:  # Optuna reads the JSON
        raise StoredError(f"study {study.study_name!r} holds an attribute that is no JSON: {error}") from None
    if trials or "fingerprint" in attrs:
        _check(f"study {study.study_name!r}", STUDY, attrs)
    for trial in (trial for trial in trials if not trial.state.is_finished()):
        _check(f"trial {trial.number} of study {study.study_name!r}", TRIAL, trial.user_attrs)


def nonsense(trial: FrozenTrial) -> str | None:
    """Return which attribute of ours in a trial is not what we write there, None if there is none."""
    attrs = trial.user_attrs
    wrong = next((name for name, value in attrs.items() if name in TRIAL and not TRIAL[name](value)), None)
    return None if wrong is None else f"its {wrong} is {_short(attrs[wrong])}, which sweetspot does not write"


def _check(owner: str, checks: Mapping[str, Check], attrs: Mapping[str, Any]) -> None:
    for name, value in attrs.items():
        if name in checks and not checks[name](value):
            raise StoredError(
                f"{owner} holds {name} = {_short(value)}, which sweetspot does not write; choose another --study name"
            )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
