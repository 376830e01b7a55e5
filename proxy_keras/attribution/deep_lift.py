"""DeepLIFT: the score's difference from a baseline, handed back by rules that keep its sum."""

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
    """What each value adds to the score by its difference from a baseline, by the rescale rule.

    Activations hand back the quotient of the changes of output and input in place of a gradient;
    products share their change evenly. The attributions of an image sum to its score minus the
    score of its baseline. Two passes, and one back.

    Options: see `BaselineOptions`.

    Source: Shrikumar et al., Learning Important Features Through Propagating Activation
    Differences (ICML 2017).
    """

    has_image_size = True
    needs_layer = False

    def attribute(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        """Logits and attributions [B, H, W, C]; see `SignedMethod`.

        Raises:
            ValueError: The network computes something for which there is no rule.
        """
        pair = [tf.identity(images), tf.identity(self.baselines(images))]
        logits = [network.logits(given) for given in pair]
        score = target(logits[0])
        # The choice of the class is not part of the way.
        answers = [tf.identity(given) for given in logits]
        scores = [tf.identity(score(given)) for given in answers]
        multipliers = _multipliers(answers, scores, tf.ones_like(scores[0]))
        multipliers = _multipliers(pair, logits, multipliers)
        return logits[0], multipliers * (pair[0] - pair[1])


def _multipliers(
    sources: list[tf.Tensor], outputs: list[tf.Tensor], multipliers: tf.Tensor
) -> tf.Tensor:
    """Multipliers of the first source, given those of the first output.

    Args:
        sources: A tensor for the image and the same one for the baseline.
        outputs: What the same code computes from each.
        multipliers: Of the shape of an output.
    """
    operations, references = (
        operations_between(source, output) for source, output in zip(sources, outputs, strict=True)
    )
    if [o.type for o in operations] != [o.type for o in references]:
        raise ValueError(
            "DeepLIFT compares two runs of the network, which did not compute the same. Take "
            "what depends on the number of calls out of its code."
        )
    reference_of = dict(zip(operations, references, strict=True))
    path = {sources[0].op, *operations}

    def rule_of(operation: tf.Operation) -> Rule:
        rule = rule_for(operation, inputs_on_path(operation, path))
        return lambda given, *gradients: rule(given, reference_of[given], *gradients)

    return backpropagate(sources[0], outputs[0], multipliers, operations, rule_of)
