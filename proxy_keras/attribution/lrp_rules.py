"""How layer-wise relevance propagation shares a linear unit's relevance among the unit's inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import tensorflow as tf

from proxy_keras.attribution.tape_vjp import vjp

Tensors = list[tf.Tensor]
Map = Callable[[Tensors], tf.Tensor]
Back = Callable[[tf.Tensor], Tensors]
"""From the relevance of a layer's units to that of its inputs."""


@dataclass(frozen=True)
class LinearMap:
    """The units of a linear layer: weighted sums of its inputs, plus a bias.

    Attributes:
        weighted_sum: Inputs -> weighted sums, the bias apart.
        positive: The same with the positive weights only.
        negative: The same with the negative weights only; None where there are none.
        mean: Inputs -> the plain mean of the inputs of each unit, of a shape that broadcasts.
        bias: What is added to the sums.
    """

    weighted_sum: Map
    positive: Map
    negative: Map | None
    mean: Map
    bias: tf.Tensor | float = 0.0


class Rule(Protocol):
    """A rule of relevance propagation."""

    def forward(
        self, linear: LinearMap, inputs: Tensors, is_positive: bool
    ) -> tuple[tf.Tensor, Back]:
        """The units of `linear` for these inputs, and the way back of their relevance.

        What falls to the bias, or to no input at all, is spread evenly over the unit's inputs, so
        that the sum of all relevance stays the same.

        Args:
            linear: The units.
            inputs: Tensors [B, ...].
            is_positive: Whether no input can be below 0.
        """


class EpsilonRule:
    """Relevance in proportion to each input's part of the unit, which is kept away from 0.

    Args:
        epsilon: What is added to a unit's magnitude, as a share of the mean magnitude of the
            layer's units for that image; >= 0.
    """

    def __init__(self, epsilon: float) -> None:
        self.epsilon = epsilon

    def forward(
        self, linear: LinearMap, inputs: Tensors, is_positive: bool
    ) -> tuple[tf.Tensor, Back]:
        """Units and the way back; see `Rule`."""
        sums, pull_back = vjp(linear.weighted_sum, inputs)
        units = sums + linear.bias

        def back(relevance: tf.Tensor) -> Tensors:
            axes = list(range(1, units.shape.rank))
            margin = self.epsilon * tf.reduce_mean(tf.abs(units), axis=axes, keepdims=True)
            steady = tf.where(units < 0, units - margin, units + margin)
            share = tf.math.divide_no_nan(relevance, steady)
            gradients = pull_back(share)
            rest = share_evenly(linear, inputs, relevance - share * sums)
            return [x * g + r for x, g, r in zip(inputs, gradients, rest, strict=True)]

        return units, back


class AlphaBetaRule:
    """Relevance `alpha` times to what raises the unit, less `alpha - 1` times to what lowers it.

    Where a unit is only raised or only lowered, that side takes all of its relevance.

    Args:
        alpha: Weight of the raising side, >= 1.
    """

    def __init__(self, alpha: float) -> None:
        self.alpha = alpha

    def forward(
        self, linear: LinearMap, inputs: Tensors, is_positive: bool
    ) -> tuple[tf.Tensor, Back]:
        """Units and the way back; see `Rule`."""

        def back(relevance: tf.Tensor) -> Tensors:
            ups, downs = list(inputs), []
            if not is_positive:
                ups = [tf.nn.relu(x) for x in inputs]
                downs = [tf.minimum(x, 0.0) for x in inputs]
            halves = ups + downs

            def sums(halves: Tensors) -> Tensors:
                ups, downs = halves[: len(inputs)], halves[len(inputs) :]
                return [
                    _total((linear.positive, ups), (linear.negative, downs)),
                    _total((linear.negative, ups), (linear.positive, downs)),
                ]

            (raising, lowering), pull_back = vjp(sums, halves)
            raise_all = raising + tf.nn.relu(linear.bias)
            lower_all = lowering + tf.minimum(linear.bias, 0.0)
            up = relevance * tf.where(lower_all < 0, self.alpha, 1.0)
            down = relevance * tf.where(raise_all > 0, 1.0 - self.alpha, 1.0)
            up = tf.math.divide_no_nan(up, raise_all)
            down = tf.math.divide_no_nan(down, lower_all)
            gradients = pull_back([up, down])
            shares = share_evenly(linear, inputs, relevance - up * raising - down * lowering)
            for i, (half, gradient) in enumerate(zip(halves, gradients, strict=True)):
                shares[i % len(inputs)] += half * gradient
            return shares

        return linear.weighted_sum(inputs) + linear.bias, back


def share_evenly(linear: LinearMap, inputs: Tensors, relevance: tf.Tensor) -> Tensors:
    """The relevance of units, shared evenly among the inputs of each.

    Returns:
        One tensor per input, of its shape; their sum is that of `relevance`.
    """
    shape = tf.shape(relevance)
    _, pull_back = vjp(lambda x: tf.broadcast_to(linear.mean(x), shape), inputs)
    return pull_back(relevance)


def _total(*terms: tuple[Map | None, Tensors]) -> tf.Tensor:
    """The sum of maps of tensors, without those that are absent; zeros where all are."""
    present = [apply(tensors) for apply, tensors in terms if apply is not None and tensors]
    return sum(present) if present else tf.zeros([])
