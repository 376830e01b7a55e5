"""Recording of attention weights of `keras.layers.MultiHeadAttention`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import tensorflow as tf

from proxy_keras.graph import FlatClone, original_of


@contextmanager
def recorded_attention(flat: FlatClone) -> Iterator[list[tf.Tensor]]:
    """Yield a list to which each call appends its attention weights [B, heads, T, S].

    Args:
        flat: The classifier. Its attention layers, which can be the user's own, are restored on
            exit.
    """
    record: list[tf.Tensor] = []
    attentions = {
        id(part): part
        for layer in flat.model.layers
        for part in original_of(layer)._flatten_layers()
        if isinstance(part, keras.layers.MultiHeadAttention)
    }
    with ExitStack() as stack:
        for attention in attentions.values():
            stack.enter_context(_replaced(attention, _recording(attention, record)))
        yield record


@contextmanager
def _replaced(attention: Any, compute: Callable[..., Any]) -> Iterator[None]:
    # Bypasses Keras' attribute tracking, which a built layer may have locked.
    state = vars(attention)
    own = state.get("_compute_attention")
    state["_compute_attention"] = compute
    try:
        yield
    finally:
        del state["_compute_attention"]
        if own is not None:
            state["_compute_attention"] = own


def _recording(attention: Any, record: list[tf.Tensor]) -> Callable[..., Any]:
    compute = attention._compute_attention
    signature = inspect.signature(compute)

    def compute_and_record(*args: Any, **kwargs: Any) -> Any:
        call = signature.bind(*args, **kwargs)
        # Otherwise Keras uses a fused operation that does not return the weights.
        call.arguments["return_attention_scores"] = True
        outputs, weights = compute(*call.args, **call.kwargs)
        record.append(weights)
        return outputs, weights

    return compute_and_record
