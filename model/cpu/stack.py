"""The layers above the first of several networks of one shape: forward and backward, written out by hand.

Batched products, a network each. The first layer's activations are `(batch, units)`; those above it `(units, batch)`.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from model.network.activation import ACTIVATIONS, relu_gradient
from model.network.arithmetic import Arithmetic
from model.network.dropout import cut, threshold
from model.network.member import Member
from model.network.plain import PlainMLP

Pair = tuple[Tensor, Tensor]


@dataclass
class StackBuffers:
    """A stack's work space for one batch size: a tensor for each hidden layer, the first `(k, batch, p)`."""

    made: list[Tensor]  # what the layer makes
    value: list[Tensor]  # that after activation and dropout; may be the same memory
    gradient: list[Tensor]  # of the latter, and then of the former
    weights: list[Tensor]  # of the layers above, times what dropout below them is made up for by
    below: list[Tensor]  # what the layers above are given, as factors, the latest


@dataclass
class Stack:
    """Networks side by side, `k` of them, a slot each."""

    members: list[Member]
    start: int  # of slot 0 among the panel's units
    slots: slice  # of the outputs, k of them
    values: list[Pair]  # of each layer above the first: w (k, out, in), b (k, out, 1)
    grads: list[Pair]  # the same shapes
    arithmetic: Arithmetic  # of its products
    scales: list[Tensor | None] = field(init=False)  # (k, 1, 1): what makes up for dropout after a hidden layer
    above: list[list[float]] = field(init=False)  # for each hidden layer and network: what noise exceeds to keep a unit

    def __post_init__(self) -> None:
        rates = list(zip(*(member.config.dropout for member in self.members), strict=True))
        self.scales = [self._scale(each) for each in rates]
        self.above = [[threshold(rate) for rate in each] for each in rates]

    def _scale(self, rates: tuple[float, ...]) -> Tensor | None:
        if not any(rates):
            return None
        return torch.tensor([1 / (1 - rate) for rate in rates], device=self.values[0][0].device)[:, None, None]

    @property
    def config(self) -> PlainMLP:
        """The shape of its networks, but for the rates of dropout."""
        return self.members[0].config

    @property
    def is_cut(self) -> bool:
        """Whether its activation is ReLU."""
        return self.config.activation == "relu"

    @property
    def apart(self) -> bool:
        """Whether the first layer's activations are its own, and not those that the panel cuts for all."""
        return not self.is_cut or self.scales[0] is not None

    def of_panel(self, first: Tensor) -> Tensor:
        """View its networks' units of `(batch, units)` as `(k, batch, p)`."""
        p = self.config.hidden[0]
        return first.as_strided((len(self.members), len(first), p), (p, first.stride(0), 1), self.start)

    def buffers(self, d_first: Tensor) -> StackBuffers:
        """Make its work space; d_first: of the panel, `(batch, units)`. A network that has the panel for itself has the
        gradient of its first layer there."""
        k, (p, *others), (batch, units) = len(self.members), self.config.hidden, d_first.shape
        shapes = [(k, batch, p), *((k, width, batch) for width in others)]
        made = [d_first.new_empty(shape) if n or self.apart else d_first.new_empty(0) for n, shape in enumerate(shapes)]
        keeps = not self.is_cut and ACTIVATIONS[self.config.activation].keeps_input
        value = [torch.empty_like(each) if keeps else each for each in made]
        gradient = [d_first[None] if (k, p) == (1, units) else d_first.new_empty(shapes[0])]
        gradient += [d_first.new_empty(shape) for shape in shapes[1:]]
        scaled = zip(self.values, self.scales, strict=True)
        weights = [weight if scale is None else torch.empty_like(weight) for (weight, _), scale in scaled]
        return StackBuffers(made, value, gradient, weights, [value[0]] * len(self.values))

    def forward(self, first: Tensor, work: StackBuffers, outputs: Tensor, rows: slice) -> None:
        """Fill its slots of the outputs, `(k, outputs, batch)`, from what the panel's first layers make.

        rows: of the minibatch, which these samples are.
        """
        below = self._first_value(first, work, rows).mT
        last = len(self.values) - 1
        for layer, ((weight, bias), scale) in enumerate(zip(self.values, self.scales, strict=True)):
            if scale is not None:
                torch.mul(weight, scale, out=work.weights[layer])
            out = outputs if layer == last else work.made[layer + 1]
            work.below[layer] = self.arithmetic.factor(below)
            self.arithmetic.baddbmm(bias, work.weights[layer], work.below[layer], out)
            if layer < last:
                self._activate(layer + 1, work, rows)
                below = work.value[layer + 1]

    def backward(self, work: StackBuffers, d_outputs: Tensor, d_first: Tensor, rows: slice) -> None:
        """Work out its gradients from that of its outputs, and fill its part of d_first, `(batch, units)`: the gradient
        of what the first layers make, or where the panel cuts, of their activations."""
        gradient = d_outputs
        for layer in reversed(range(len(self.values))):
            weight, (g_weight, g_bias), scale = work.weights[layer], self.grads[layer], self.scales[layer]
            torch.sum(gradient, 2, keepdim=True, out=g_bias)
            gradient = self.arithmetic.factor(gradient)
            self.arithmetic.bmm(gradient, work.below[layer].mT, g_weight)
            if scale is not None:
                g_weight.mul_(scale)
            if layer > 0:
                gradient = self.arithmetic.bmm(weight.mT, gradient, work.gradient[layer])
                self._back(layer, work, rows)
        self.arithmetic.bmm(gradient.mT, work.weights[0], work.gradient[0])
        if self.apart:
            self._back(0, work, rows)
        own = self.of_panel(d_first)
        if own.data_ptr() != work.gradient[0].data_ptr():
            own.copy_(work.gradient[0])

    def _first_value(self, first: Tensor, work: StackBuffers, rows: slice) -> Tensor:
        """Return the first layer's activations, `(k, batch, p)`."""
        if self.apart and self.is_cut:
            self._drop(0, self.of_panel(first), work.value[0], rows)
        elif self.apart:
            work.made[0].copy_(self.of_panel(first))
            self._activate(0, work, rows)
        return work.value[0] if self.apart else self.of_panel(first)

    def _activate(self, layer: int, work: StackBuffers, rows: slice) -> None:
        made, value = work.made[layer], work.value[layer]
        if self.is_cut:
            made.relu_()
        else:
            activation = ACTIVATIONS[self.config.activation]
            for one, out in zip(made, value, strict=True):
                activation.value(one, out)
        self._drop(layer, value, value, rows)

    def _back(self, layer: int, work: StackBuffers, rows: slice) -> None:
        """Make the gradient of a layer's activations into that of what it makes."""
        gradient, value = work.gradient[layer], work.value[layer]
        if self.is_cut:
            relu_gradient(gradient, value, gradient)  # what dropout cut off is 0 in the value, too
            return
        self._drop(layer, gradient, gradient, rows)
        activation = ACTIVATIONS[self.config.activation]
        kept = work.made[layer] if activation.keeps_input else value
        for one, needed in zip(gradient, kept, strict=True):
            activation.gradient(one, needed, one)

    def _drop(self, layer: int, values: Tensor, out: Tensor, rows: slice) -> None:
        """Copy values, with zero where dropout after a layer drops; `out` may be `values`."""
        if self.scales[layer] is None:
            return
        for member, above, own, place in zip(self.members, self.above[layer], values, out, strict=True):
            noise = member.drawn[layer]
            cut(own, noise[rows] if layer == 0 else noise[:, rows], above, place)
