"""A family: how a trial's parameters become a network, its place in a fleet, and its score.

family = Family(network, inputs=784, classes=10)
model = family.build({"units": 25, "dropout": 0.2, "lr": 0.01}, seed=1)
fleet.attach(member := family.member(model, {"units": 25, "dropout": 0.2, "lr": 0.01}, seed=1, device=device))
fleet.train_epoch()
family.score(member.network(), samples)

A plain MLP trains side by side with others (`model/network/plain.py` says what is one), any other network by PyTorch's
plain loop. Either way a trial's bits depend on its seeds and the number of threads alone, but the two ways round
differently and draw other masks. So a member says how it trains (`trainer`), and a rerun asks for the same way.
"""

import copy
import inspect
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from model.data.samples import Samples
from model.errors import NetworkError, first_line
from model.general.augment import Augment, Augmentation, channels_first
from model.general.choices import Loss, Metric, Optimizer
from model.general.look import look
from model.general.member import GeneralMember, parameters
from model.general.memory import memory_errors
from model.general.sequential import Sequential
from model.general.step import Steps
from model.generator import seeded
from model.network.arithmetic import Precision
from model.network.member import BaseMember, Member, plain_member
from model.network.plain import PlainMLP, recognised
from model.network.scoring import Score, score
from model.network.update import Rule
from model.seeds import derive

Trainer = Literal["fleet", "general"]
Scored = Score


@contextmanager
def _in_a_line(params: Mapping[str, Any]) -> Iterator[None]:
    """Raise what a network raises as a `NetworkError`, but for want of memory."""
    try:
        with memory_errors():
            yield
    except (NetworkError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise NetworkError(f"the network of {dict(params)} fails: {first_line(error)}") from error


@dataclass(frozen=True)
class Family:
    """What makes, trains and scores the networks of a study; `loss` and `metric` are by default those of the targets.

    Raises `NetworkError` for a loss or metric of the other kind of targets, and to augment what is no picture.
    """

    network: Callable[..., nn.Module]  # called with what it names of a trial's parameters, `inputs` and `classes`
    inputs: int  # numbers in a sample
    classes: int | None  # None where the target is a number
    optimizer: Optimizer = field(default_factory=Optimizer)
    loss: Loss | None = None  # cross_entropy, or mse
    metric: Metric | None = None  # accuracy, or mean_squared_error
    augment: Augment | None = None  # of pictures, while they train
    shape: tuple[int, ...] = ()  # of a sample, (28, 28) or (3, 32, 32), where pictures are augmented
    precision: Precision = "float32"  # of the products while they train; they are scored in float32

    def __post_init__(self) -> None:
        kind = "numbers" if self.classes is None else "classes"
        for choice in (self.criterion, self.measure):
            if choice.of_classes != (self.classes is not None):
                raise NetworkError(f"{choice.name} is not for targets that are {kind}")
        if self.augment is not None:
            channels_first(self.shape)

    @property
    def criterion(self) -> Loss:
        """What training makes small."""
        return self.loss or Loss("mse" if self.classes is None else "cross_entropy")

    @property
    def measure(self) -> Metric:
        """What a trial is judged by."""
        return self.metric or Metric("mean_squared_error" if self.classes is None else "accuracy")

    @property
    def outputs(self) -> int:
        """Numbers that a network returns for a sample."""
        return self.classes or 1

    @cached_property
    def names(self) -> frozenset[str] | None:
        """The trial's parameters that something takes; None where the network takes any."""
        own = self._arguments.values()
        if any(each.kind is each.VAR_KEYWORD for each in own):
            return None
        taken = self.optimizer.names | (self.augment.names if self.augment else frozenset())
        return frozenset(each.name for each in own) - set(self._of_the_data) | taken

    def build(self, params: Mapping[str, Any], seed: int) -> nn.Module:
        """Build a network on the CPU, its weights drawn from `seed`; the global generator is left as it was.

        Raises `NetworkError` where the function fails or what it returns does not fit the data.
        """
        with seeded(seed), _in_a_line(params):
            network = self._laid_out(self.network(**self._called_with(params)))
        return network.train()

    def member(
        self,
        network: nn.Module,
        params: Mapping[str, Any],
        seed: int,
        device: torch.device,
        trainer: Trainer | None = None,
    ) -> BaseMember:
        """Return a copy of a network as a member for a fleet on `device`, which draws, where it does, from `seed`.

        trainer: how it trains, as a stored trial's member said; None for the faster way. Raises `NetworkError` where a
        step of it fails, or draws what cannot be drawn from `seed`, and where it does not fit the trainer.
        """
        if trainer is not None and trainer not in get_args(Trainer):
            raise NetworkError(f"{trainer!r} is no way to train; choose one of {', '.join(get_args(Trainer))}")
        # Where pictures are augmented all train the same way, at no strength too, since they are to be compared.
        config = None if self.augment or trainer == "general" else _for_the_fleet(network, device)
        if config is not None:
            return self._plain(network, config, params, seed, device)
        if trainer == "fleet":
            raise NetworkError(f"the network of {dict(params)} is no plain MLP, which alone trains as {trainer!r}")
        return self._general(network, params, seed, device)

    def _plain(
        self, network: nn.Module, config: PlainMLP, params: Mapping[str, Any], seed: int, device: torch.device
    ) -> Member:
        rule = Rule.of(self.optimizer.name, self.optimizer.over(network.parameters(), params))
        generator = torch.Generator(device).manual_seed(derive(seed, "draws"))
        member = plain_member(network, config, rule, self.criterion.name, device, generator=generator)
        member.precision = self.precision
        return member

    def _general(self, network: nn.Module, params: Mapping[str, Any], seed: int, device: torch.device) -> GeneralMember:
        module = copy.deepcopy(network).to(device).train()
        weights = [weight for weight in module.parameters() if weight.requires_grad]
        if not weights:
            raise NetworkError("the network has no weights to train")
        with _in_a_line(params):
            seen = look(module, self.inputs, device, self._made_up_loss, self.precision)
        generator = torch.Generator(device).manual_seed(derive(seed, "draws"))
        optimizer = self.optimizer.over(weights, params)
        augmentation = self._augmentation(params, seed, device)
        member = GeneralMember(module, Steps(optimizer), self.criterion, generator, seen, augmentation)
        member.precision = self.precision
        return member

    def score(self, network: nn.Module, samples: Samples) -> Score:
        """Score a network on every sample."""
        with memory_errors():
            return score(network, samples, lambda *pair: self.criterion(pair[0], pair[1], "sum"), self.measure)

    def parameters(self, network: nn.Module) -> int:
        """Return the number of a network's trainable parameters."""
        return parameters(network)

    def epoch_seconds(self, params: Mapping[str, Any], samples: Samples, batch: int) -> float:
        """Train a fresh network alone for an epoch, by the plain loop, and return the seconds it took."""
        device = samples.device
        member = self._general(self.build(params, 0).to(device), params, 0, device)
        program = Sequential([member], samples, batch)
        start = time.perf_counter()
        program.train(torch.arange(len(samples)))
        program.figures()
        return time.perf_counter() - start

    def epoch_flops(self, params: Mapping[str, Any], samples: int) -> int:
        """Return the floating-point operations of the products and convolutions in an epoch of so many samples."""
        seen = look(self.build(params, 0), self.inputs, torch.device("cpu"), self._made_up_loss)
        return seen.flops * samples

    def restored(self, params: Mapping[str, Any], weights: Mapping[str, Tensor]) -> nn.Module:
        """Return the network of these weights and buffers, by name, as it is when it does not train.

        Raises `NetworkError` where they are not those of such a network.
        """
        network = self.build(params, 0)
        try:
            network.load_state_dict(dict(weights))
        except RuntimeError as error:
            raise NetworkError(f"the weights do not fit the network of {dict(params)}: {first_line(error)}") from error
        return network.eval()

    def _augmentation(self, params: Mapping[str, Any], seed: int, device: torch.device) -> Augmentation | None:
        """Return what changes a trial's minibatches; its draws are a stream of their own, so masks stay as they are."""
        if self.augment is None:
            return None
        generator = torch.Generator(device).manual_seed(derive(seed, "augment"))
        return Augmentation(self.augment.strengths(params), self.shape, generator)

    @property
    def _of_the_data(self) -> dict[str, int]:
        return {"inputs": self.inputs} if self.classes is None else {"inputs": self.inputs, "classes": self.classes}

    @property
    def _arguments(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(self.network).parameters

    def _called_with(self, params: Mapping[str, Any]) -> dict[str, Any]:
        known = {**params, **self._of_the_data}
        if self.names is None:
            return known
        needed = [each.name for each in self._arguments.values() if each.default is each.empty]
        if missing := next((name for name in needed if name not in known), None):
            raise NetworkError(f"the network needs {missing!r}, which is no parameter of the trial")
        return {name: known[name] for name in self._arguments if name in known}

    def _laid_out(self, network: Any) -> nn.Module:
        """Try a network, and lay its convolutions out with the channels last, where it can do with that.

        On a CPU that made a step of a small one a fifth shorter; a `view` of what they return fails.
        """
        self._try(network)
        if any(weight.dim() == 4 for weight in network.parameters()):
            try:
                self._try(network.to(memory_format=torch.channels_last))
            except RuntimeError:
                network.to(memory_format=torch.contiguous_format)
        return network  # type: ignore[no-any-return]

    def _try(self, network: Any) -> None:
        """Run a network once, which also makes the weights of lazy layers. Raises `NetworkError` if it does not fit."""
        if not isinstance(network, nn.Module):
            raise NetworkError(f"the network function returned {type(network).__name__}, not a torch.nn.Module")
        with torch.no_grad():
            outputs = network.eval()(torch.zeros(2, self.inputs))
        found, wanted = tuple(getattr(outputs, "shape", ())), (2, self.outputs)
        if found != wanted:
            raise NetworkError(f"the network returns {found} for two samples, not {wanted}")

    def _made_up_loss(self, outputs: Tensor) -> Tensor:
        dtype = torch.float32 if self.classes is None else torch.int64
        shape = outputs.shape if self.classes is None else outputs.shape[:1]
        return self.criterion(outputs, torch.zeros(shape, dtype=dtype, device=outputs.device))


def _for_the_fleet(network: nn.Module, device: torch.device) -> PlainMLP | None:
    """Return what a network is if it trains faster beside others: a plain MLP."""
    config = recognised(network)
    # Nobody has tried how masks are drawn on MPS.
    return None if config is None or (device.type == "mps" and any(config.dropout)) else config
