"""Rules that distribute a linear unit's relevance over its inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import tensorflow as tf

from proxy_keras.attribution.tape_vjp import vjp

Tensors = list[tf.Tensor]
Map = Callable[[Tensors], tf.Tensor]
Back = Callable[[tf.Tensor], Tensors]
"""Relevance of a layer's units -> relevance of its inputs."""


@dataclass(frozen=True)
class LinearMap:
    """The units of a linear layer: weighted sums of its inputs, plus a bias.

    Attributes:
        weighted_sum: Inputs -> weighted sums, without the bias.
        positive: The same with the positive weights only.
        negative: The same with the negative weights only; None where there are none.
        mean: Inputs -> the unweighted mean of each unit's inputs, of a shape that broadcasts.
        bias: Bias of the units.
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
        """Return the units of `linear` for these inputs, and a function of their relevance.

        The share of the bias, and any remainder, is spread evenly over the unit's inputs, so that
        the sum of all relevance is preserved.

        Args:
            linear: The units.
            inputs: Tensors [B, ...].
            is_positive: Whether no input can be negative.
        """


class EpsilonRule:
    """Relevance in proportion to each input's contribution, with a stabilised denominator.

    Args:
        epsilon: Added to a unit's magnitude, as a share of the mean magnitude of the layer's units
            for that image; >= 0.
    """

    def __init__(self, epsilon: float) -> None:
        self.epsilon = epsilon

    def forward(
        self, linear: LinearMap, inputs: Tensors, is_positive: bool
    ) -> tuple[tf.Tensor, Back]:
        """Return the units and a function of their relevance; see `Rule`."""
        sums, pull_back = vjp(linear.weighted_sum, inputs)
        units = sums + linear.bias

        def back(relevance: tf.Tensor) -> Tensors:
            axes = list(range(1, units.shape.rank))
            margin = self.epsilon * tf.reduce_mean(tf.abs(units), axis=axes, keepdims=True)
            stabilised = tf.where(units < 0, units - margin, units + margin)
            share = tf.math.divide_no_nan(relevance, stabilised)
            gradients = pull_back(share)
            rest = share_evenly(linear, inputs, relevance - share * sums)
            return [x * g + r for x, g, r in zip(inputs, gradients, rest, strict=True)]

        return units, back


class AlphaBetaRule:
    """Relevance with weight `alpha` for positive contributions and `1 - alpha` for negative ones.

    If all contributions to a unit have the same sign, they get all of its relevance.

    Args:
        alpha: Weight of the positive contributions, >= 1.
    """

    def __init__(self, alpha: float) -> None:
        self.alpha = alpha

    def forward(
        self, linear: LinearMap, inputs: Tensors, is_positive: bool
    ) -> tuple[tf.Tensor, Back]:
        """Return the units and a function of their relevance; see `Rule`."""

        def back(relevance: tf.Tensor) -> Tensors:
            positive_inputs, negative_inputs = list(inputs), []
            if not is_positive:
                positive_inputs = [tf.nn.relu(x) for x in inputs]
                negative_inputs = [tf.minimum(x, 0.0) for x in inputs]
            halves = positive_inputs + negative_inputs

            def sums(halves: Tensors) -> Tensors:
                positive_inputs, negative_inputs = halves[: len(inputs)], halves[len(inputs) :]
                return [
                    _total((linear.positive, positive_inputs), (linear.negative, negative_inputs)),
                    _total((linear.negative, positive_inputs), (linear.positive, negative_inputs)),
                ]

            (positive, negative), pull_back = vjp(sums, halves)
            all_positive = positive + tf.nn.relu(linear.bias)
            all_negative = negative + tf.minimum(linear.bias, 0.0)
            up = relevance * tf.where(all_negative < 0, self.alpha, 1.0)
            down = relevance * tf.where(all_positive > 0, 1.0 - self.alpha, 1.0)
            up = tf.math.divide_no_nan(up, all_positive)
            down = tf.math.divide_no_nan(down, all_negative)
            gradients = pull_back([up, down])
            shares = share_evenly(linear, inputs, relevance - up * positive - down * negative)
            for i, (half, gradient) in enumerate(zip(halves, gradients, strict=True)):
                shares[i % len(inputs)] += half * gradient
            return shares

        return linear.weighted_sum(inputs) + linear.bias, back


def share_evenly(linear: LinearMap, inputs: Tensors, relevance: tf.Tensor) -> Tensors:
    """Return the relevance of units, divided evenly among the inputs of each.

    Returns:
        One tensor per input, of its shape; they sum to the sum of `relevance`.
    """
    shape = tf.shape(relevance)
    _, pull_back = vjp(lambda x: tf.broadcast_to(linear.mean(x), shape), inputs)
    return pull_back(relevance)


def _total(*terms: tuple[Map | None, Tensors]) -> tf.Tensor:
    """Return the sum of maps of tensors, skipping absent ones; 0 if all are absent."""
    present = [apply(tensors) for apply, tensors in terms if apply is not None and tensors]
    return sum(present) if present else tf.zeros([])
