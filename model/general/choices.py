"""What a study chooses by name: optimizer, loss and metric, as frozen data."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import torch
from torch import Tensor, nn

from model.errors import NetworkError
from model.network.scoring import accuracy

Direction = Literal["maximize", "minimize"]
Setting = float | str
"""A value that is fixed, or the name of the trial's parameter that it is taken from."""

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}


@dataclass(frozen=True)
class Optimizer:
    """An optimizer of PyTorch's and its settings; what is None is as PyTorch has it, but SGD's momentum is 0.9.

    Raises `NetworkError` for a name that is none, or a setting that the optimizer does not have.
    """

    name: str = "adam"  # or adamw, sgd
    lr: Setting = "lr"
    weight_decay: Setting | None = None
    momentum: Setting | None = None  # of sgd
    betas: tuple[Setting, Setting] | None = None  # of adam and adamw

    def __post_init__(self) -> None:
        _one_of("optimizer", self.name, OPTIMIZERS)
        unknown = "betas" if self.name == "sgd" else "momentum"
        if getattr(self, unknown) is not None:
            raise NetworkError(f"the optimizer {self.name} has no {unknown}")

    @property
    def names(self) -> frozenset[str]:
        """The parameters that it takes from a trial."""
        return frozenset(value for value in self._values() if isinstance(value, str))

    def settings(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the optimizer is called with. Raises `NetworkError` for a parameter that is not there."""
        asked = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "name"}
        found = {name: _looked_up(value, params) for name, value in asked.items() if value is not None}
        return {"momentum": 0.9, **found} if self.name == "sgd" else found

    def over(self, weights: Iterable[Tensor], params: Mapping[str, Any]) -> torch.optim.Optimizer:
        """Return the optimizer of these weights, in its fused form.

        Raises `NetworkError` for settings that it refuses.
        """
        settings = self.settings(params)
        try:
            return OPTIMIZERS[self.name](weights, fused=True, **settings)  # type: ignore[call-arg]
        except (TypeError, ValueError) as error:
            raise NetworkError(f"the optimizer {self.name} refuses {settings}: {error}") from error

    def _values(self) -> Iterator[Setting | None]:
        yield from (self.lr, self.weight_decay, self.momentum, *(self.betas or ()))


@dataclass(frozen=True)
class Loss:
    """What training makes small: cross_entropy, in nats, for classes; mse or l1 for numbers.

    Raises `NetworkError` for a name that is none.
    """

    name: str

    def __post_init__(self) -> None:
        _one_of("loss", self.name, _LOSSES)

    @property
    def of_classes(self) -> bool:
        """Whether targets are classes; else they are numbers."""
        return _LOSSES[self.name][0]

    def __call__(self, outputs: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
        """Return the loss, (): its mean over the samples, or their sum."""
        return _LOSSES[self.name][1](outputs, targets, reduction=reduction)


@dataclass(frozen=True)
class Metric:
    """What a trial is judged by, as torchmetrics computes it on a whole set.

    accuracy is the share of right answers (micro); f1 and auroc are means over the classes (macro). Raises
    `NetworkError` for a name that is none.
    """

    name: str

    def __post_init__(self) -> None:
        _one_of("metric", self.name, _METRICS)

    @property
    def of_classes(self) -> bool:
        """Whether targets are classes; else they are numbers."""
        return _METRICS[self.name][0]

    @property
    def direction(self) -> Direction:
        """Which values are the better ones."""
        return _METRICS[self.name][1]

    def __call__(self, outputs: Tensor, targets: Tensor) -> float:
        """Return its value: outputs (n, classes) for classes (n,), or (n, 1) for numbers (n, 1)."""
        return _METRICS[self.name][2](outputs, targets)


# torchmetrics is imported where it is used: see model/__init__.py.


def _f1(outputs: Tensor, targets: Tensor) -> float:
    from torchmetrics.functional.classification import multiclass_f1_score  # noqa: PLC0415

    return float(multiclass_f1_score(outputs, targets, outputs.shape[1], average="macro"))


def _auroc(outputs: Tensor, targets: Tensor) -> float:
    from torchmetrics.functional.classification import multiclass_auroc  # noqa: PLC0415

    shares = outputs.softmax(1)  # here, since torchmetrics leaves it out where all outputs happen to lie in 0..1
    if not shares.isfinite().all():
        return float("nan")
    return float(multiclass_auroc(shares, targets, outputs.shape[1], average="macro"))


def _mean_squared_error(outputs: Tensor, targets: Tensor) -> float:
    from torchmetrics.functional.regression import mean_squared_error  # noqa: PLC0415

    return float(mean_squared_error(outputs, targets))


def _mean_absolute_error(outputs: Tensor, targets: Tensor) -> float:
    from torchmetrics.functional.regression import mean_absolute_error  # noqa: PLC0415

    return float(mean_absolute_error(outputs, targets))


def _r2(outputs: Tensor, targets: Tensor) -> float:
    from torchmetrics.functional.regression import r2_score  # noqa: PLC0415

    return float(r2_score(outputs, targets))


_LOSSES: dict[str, tuple[bool, Callable[..., Tensor]]] = {  # whether of classes
    "cross_entropy": (True, nn.functional.cross_entropy),
    "mse": (False, nn.functional.mse_loss),
    "l1": (False, nn.functional.l1_loss),
}
_METRICS: dict[str, tuple[bool, Direction, Callable[[Tensor, Tensor], float]]] = {
    "accuracy": (True, "maximize", accuracy),
    "f1": (True, "maximize", _f1),
    "auroc": (True, "maximize", _auroc),
    "mean_squared_error": (False, "minimize", _mean_squared_error),
    "mean_absolute_error": (False, "minimize", _mean_absolute_error),
    "r2": (False, "maximize", _r2),
}


def _one_of(kind: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise NetworkError(f"{name!r} is no {kind}; choose one of {', '.join(known)}")


def _looked_up(value: Any, params: Mapping[str, Any]) -> Any:
    if isinstance(value, tuple):
        return tuple(_looked_up(each, params) for each in value)
    if isinstance(value, str):
        if value not in params:
            raise NetworkError(f"the optimizer needs the parameter {value!r}, which the trial does not have")
        return params[value]
    return value
