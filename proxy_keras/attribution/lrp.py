"""Layer-wise relevance propagation."""

from __future__ import annotations

from typing import Any, ClassVar

import tensorflow as tf

from proxy_keras.attribution.lrp_layers import LayerRules
from proxy_keras.attribution.lrp_rules import AlphaBetaRule, EpsilonRule, Rule
from proxy_keras.attribution.method import MethodOutput, SignedMethod
from proxy_keras.attribution.method_options import LRPOptions
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.target import Target
from proxy_keras.graph import nodes_to


class LRP(LRPOptions, SignedMethod):
    """The score, propagated back layer by layer as relevance of each value of the image.

    A linear unit distributes its relevance over its inputs by their contributions; the share of
    the bias is spread evenly over them, so that the relevance of the image sums to the score. Batch
    normalisation is folded into the preceding linear layer. Activations pass relevance unchanged,
    max pooling to the largest value, a gate (as in squeeze-and-excite) to the gated signal.

    Raises:
        ValueError: At the first call: the network has a layer without a rule, such as attention.

    Source: Bach et al., On Pixel-Wise Explanations for Non-Linear Classifier Decisions by
    Layer-Wise Relevance Propagation (PLoS ONE 2015), equations 58 and 60.
    """

    has_image_size: ClassVar[bool] = True
    needs_layer: ClassVar[bool] = False

    def attribute(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        """Return logits and the relevance [B, H, W, C] of each value; see `SignedMethod`."""
        model = network.flat.model
        nodes = nodes_to(network.flat.output)
        is_epsilon = self.rule == "epsilon"
        rule: Rule = EpsilonRule(self.epsilon) if is_epsilon else AlphaBetaRule(self.alpha)
        steps = LayerRules(rule, nodes)
        values = {id(model.inputs[0]): images}
        backward_steps: list[tuple[Any, list[Any], Any]] = []
        for node in nodes:
            tensors = list({id(tensor): tensor for tensor in node.input_tensors}.values())
            outputs, back = steps.run(node, tensors, [values[id(t)] for t in tensors])
            values.update(zip(map(id, node.outputs), outputs, strict=True))
            backward_steps.append((node, tensors, back))
        logits = values[id(network.flat.output)]
        relevance = {id(network.flat.output): target(logits).gradient(logits) * logits}
        for node, tensors, back in reversed(backward_steps):
            # Every node contributes to the logits, but not necessarily each of its outputs.
            of_outputs = [
                relevance[id(t)] if id(t) in relevance else tf.zeros_like(values[id(t)])
                for t in node.outputs
            ]
            shares = back(of_outputs[0] if len(of_outputs) == 1 else of_outputs)
            for tensor, share in zip(tensors, shares, strict=True):
                known = relevance.get(id(tensor))
                relevance[id(tensor)] = share if known is None else known + share
        return logits, relevance[id(model.inputs[0])]
