"""Gradients through multi-head attention."""

import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from export.vjp.attention import multi_head_attention

RNG = np.random.default_rng(0)
TOKENS, OTHERS, KEYS = (RNG.normal(size=(2, n, 6)).astype(np.float32) for n in (5, 3, 3))


@pytest.mark.parametrize(
    "options",
    [
        {"num_heads": 2, "key_dim": 3},
        {"num_heads": 1, "key_dim": 4, "use_bias": False},
        {"num_heads": 2, "key_dim": 3, "value_dim": 5, "output_shape": 7, "dropout": 0.5},
    ],
)
def test_attention(options, randomise, check_rule):
    layer = layers.MultiHeadAttention(**options)
    layer.build(TOKENS.shape, TOKENS.shape)
    randomise(layer)
    check_rule(layer, TOKENS, TOKENS)
    check_rule(layer, TOKENS, OTHERS)
    check_rule(layer, TOKENS, OTHERS, KEYS)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda mha, x: mha(x, x, attention_mask=np.ones((1, 4, 4))), "attention_mask"),
        (lambda mha, x: mha(x, x, use_causal_mask=True), "use_causal_mask"),
        (lambda mha, x: mha(x, x, return_attention_scores=True)[0], "has 2 outputs"),
    ],
)
def test_masks_and_scores_are_refused_by_name(call, reason, build_model, check_head):
    mha = layers.MultiHeadAttention(2, 3, name="mha")
    with pytest.raises(ValueError, match=rf"'mha' \(MultiHeadAttention\).*{reason}"):
        check_head(build_model(lambda x: call(mha, layers.Reshape((36, 4))(x)[:, :4])))


@pytest.mark.parametrize(
    ("options", "shape", "reason"),
    [
        ({"use_gate": True}, (2, 5, 6), "use_gate=True"),
        ({"sliding_window": 2}, (2, 5, 6), "sliding_window"),
        ({"output_shape": (2, 3)}, (2, 5, 6), "output_shape is"),
        ({}, (2, 2, 3, 6), "4 axes"),
    ],
)
def test_other_kinds_of_attention_are_refused(options, shape, reason):
    layer = layers.MultiHeadAttention(2, 3, **options)
    layer.build(shape, shape)
    with pytest.raises(NotImplementedError, match=reason):
        multi_head_attention(layer, tf.ones(shape), tf.ones(shape))
