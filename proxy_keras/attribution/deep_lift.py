"""DeepLIFT: the score's difference from a baseline, backpropagated by sum-preserving rules."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.baselines import BaselineMethod
from proxy_keras.attribution.deep_lift_rules import rule_for
from proxy_keras.attribution.graph_backprop import (
    Rule,
    backpropagate,
    inputs_on_path,
    operations_between,
)
from proxy_keras.attribution.method import MethodOutput, SignedMethod
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.target import Target


class DeepLIFT(BaselineMethod, SignedMethod):
    """Contribution of each value's difference from a baseline, by the rescale rule.

    Activations have the quotient of the changes of output and input as their multiplier in place
    of a gradient; products divide their change evenly. The attributions of an image sum to its
    score minus the score of its baseline. Costs two forward passes and one backward pass.

    Options: see `BaselineOptions`.

    Source: Shrikumar et al., Learning Important Features Through Propagating Activation
    Differences (ICML 2017).
    """

    has_image_size = True
    needs_layer = False

    def attribute(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        """Return logits and attributions [B, H, W, C]; see `SignedMethod`.

        Raises:
            ValueError: The network has an operation without a rule.
        """
        pair = [tf.identity(images), tf.identity(self.baselines(images))]
        logits = [network.logits(given) for given in pair]
        score = target(logits[0])
        # The choice of the class is not differentiated.
        answers = [tf.identity(given) for given in logits]
        scores = [tf.identity(score(given)) for given in answers]
        multipliers = _multipliers(answers, scores, tf.ones_like(scores[0]))
        multipliers = _multipliers(pair, logits, multipliers)
        return logits[0], multipliers * (pair[0] - pair[1])


def _multipliers(
    sources: list[tf.Tensor], outputs: list[tf.Tensor], multipliers: tf.Tensor
) -> tf.Tensor:
    """Return the multipliers of the first source, given those of the first output.

    Args:
        sources: The same tensor for the image and for the baseline.
        outputs: The outputs that the same code computes from each.
        multipliers: Multipliers of the output, of its shape.
    """
    operations, references = (
        operations_between(source, output) for source, output in zip(sources, outputs, strict=True)
    )
    if [o.type for o in operations] != [o.type for o in references]:
        raise ValueError(
            "DeepLIFT compares two runs of the network, but they ran different operations. Remove "
            "code that depends on the number of calls."
        )
    reference_of = dict(zip(operations, references, strict=True))
    path = {sources[0].op, *operations}

    def rule_of(operation: tf.Operation) -> Rule:
        rule = rule_for(operation, inputs_on_path(operation, path))
        return lambda given, *gradients: rule(given, reference_of[given], *gradients)

    return backpropagate(sources[0], outputs[0], multipliers, operations, rule_of)
