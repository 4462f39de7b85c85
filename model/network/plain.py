"""Plain MLPs: linear layers with one activation between them, and dropout if wanted. What any of them is, as data."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

MOST_DROPOUT = 0.99  # by this rate and less masks are drawn as `model/network/dropout.py` does
_ACTIVATIONS = {nn.ReLU: "relu", nn.GELU: "gelu", nn.SiLU: "silu", nn.Tanh: "tanh"}


@dataclass(frozen=True)
class PlainMLP:
    """Shape of a plain MLP."""

    inputs: int
    hidden: tuple[int, ...]  # width of each hidden layer, one at least
    outputs: int  # classes, or 1 for a number
    activation: str  # relu, gelu (exact), silu or tanh
    dropout: tuple[float, ...]  # rate after each hidden layer, 0 where there is none

    @property
    def widths(self) -> tuple[int, ...]:
        """Of inputs, hidden layers and outputs."""
        return (self.inputs, *self.hidden, self.outputs)

    @property
    def parameters(self) -> int:
        """Number of trainable parameters."""
        return sum((below + 1) * above for below, above in zip(self.widths, self.widths[1:], strict=False))

    @property
    def flops(self) -> int:
        """Floating-point operations of the products in a training step, for a sample: 2 for multiplying and adding.

        Forward once; backward once for the weights and, where there is a layer below, once for its activations.
        """
        first, *rest = (below * above for below, above in zip(self.widths, self.widths[1:], strict=False))
        return 2 * (2 * first + 3 * sum(rest))

    @property
    def is_the_articles(self) -> bool:
        """Whether it is 784-h-h-10 with ReLU and no dropout."""
        same = len(self.hidden) == 2 and self.hidden[0] == self.hidden[1]
        return same and (self.inputs, self.outputs, self.activation) == (784, 10, "relu") and not any(self.dropout)


def recognised(network: nn.Module) -> PlainMLP | None:
    """Return what a network is if it is a plain MLP, as `nn.Sequential` of PyTorch's layers.

    None for any other, also where it is more than its layers: hooks, buffers, frozen, shared or double weights.
    """
    blocks = _blocks(network)
    if blocks is None or len(blocks) < 2 or len(blocks[-1]) > 1 or not _is_all(network, [each[0] for each in blocks]):
        return None
    rates = [_dropout(block) for block in blocks[:-1]]
    kinds = {type(block[1]) for block in blocks[:-1] if len(block) > 1}
    if None in rates or len(kinds) != 1:
        return None
    layers = linear_layers(network)
    widths = tuple(layer.out_features for layer in layers)
    activation = _ACTIVATIONS[kinds.pop()]
    dropout = tuple(rate for rate in rates if rate is not None)
    return PlainMLP(layers[0].in_features, widths[:-1], widths[-1], activation, dropout)


def linear_layers(network: nn.Module) -> list[nn.Linear]:
    """Return the linear layers of a plain MLP, the first first."""
    return [layer for layer in network.modules() if isinstance(layer, nn.Linear)]


def layers_above_the_first(network: nn.Module) -> nn.Module:
    """Return what a plain MLP makes of its first linear layer's outputs, as a module; not in place."""
    _, *above = _in_turn(network)
    return nn.Sequential(*above)


def _blocks(network: nn.Module) -> list[list[nn.Module]] | None:
    """Return each linear layer with what follows it; None where something comes before the first."""
    blocks: list[list[nn.Module]] = []
    for layer in _in_turn(network):
        if type(layer) is nn.Linear:
            blocks.append([layer])
        elif not blocks:
            return None
        else:
            blocks[-1].append(layer)
    return blocks


def _in_turn(network: nn.Module) -> Iterator[nn.Module]:
    """Yield the layers that a sample passes, but those that do nothing; samples are flat already."""
    if type(network) is nn.Sequential:
        for each in network:
            yield from _in_turn(each)
    elif type(network) is not nn.Identity and not _flattens(network):
        yield network


def _flattens(layer: nn.Module) -> bool:
    return type(layer) is nn.Flatten and (layer.start_dim, layer.end_dim) == (1, -1)


def _dropout(block: list[nn.Module]) -> float | None:
    """Return the dropout of a hidden layer; None where it is not a layer, an activation and dropout or none."""
    if len(block) < 2:
        return None
    _, activation, *rest = block
    exact = type(activation) in _ACTIVATIONS and getattr(activation, "approximate", "none") == "none"
    if not exact or len(rest) > 1:
        return None
    if not rest:
        return 0.0
    (last,) = rest
    return float(last.p) if type(last) is nn.Dropout and 0 <= last.p <= MOST_DROPOUT else None


def _is_all(network: nn.Module, layers: list[nn.Module]) -> bool:
    """Whether the weights and biases of these layers are all that a network has."""
    own = [weight for layer in layers for weight in (layer.weight, layer.bias)]
    plain = all(weight is not None and weight.dtype == torch.float32 and weight.requires_grad for weight in own)
    every = {id(weight) for weight in network.parameters()}
    whole = len(every) == len(own) and every == {id(weight) for weight in own}
    return plain and whole and not any(True for _ in network.buffers()) and not any(map(_hooked, network.modules()))


def _hooked(layer: nn.Module) -> bool:
    hooks = (layer._forward_hooks, layer._forward_pre_hooks, layer._backward_hooks, layer._backward_pre_hooks)
    return any(map(len, hooks))
