"""Attention rollout against NumPy products of the attention matrices of the model's layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from proxy_keras.attribution import Explainer
from proxy_keras.attribution.attention_record import recorded_attention
from proxy_keras.attribution.attention_rollout import AttentionRollout
from proxy_keras.graph import FlatClone


def scaled(maps):
    low = maps.min(axis=(1, 2), keepdims=True)
    span = maps.max(axis=(1, 2), keepdims=True) - low
    return (maps - low) / np.where(span == 0, 1, span)


def rollout_in_numpy(attentions, prefix, grid, fuse=np.mean):
    """All rows by definition; `attentions` [B, heads, T, T] in the order of blocks."""
    tokens = attentions[0].shape[-1]
    joint = np.eye(tokens)
    for attention in attentions:
        mixing = fuse(np.asarray(attention, float), axis=1) + np.eye(tokens)
        joint = mixing / mixing.sum(axis=-1, keepdims=True) @ joint
    row = joint[:, 0, prefix:] if prefix else joint.mean(axis=1)
    return scaled(row.reshape(-1, *grid))


def vit_attentions(model, images):
    """Run keras_hub's blocks layer by layer and return the attention weights."""
    embed, encoder = (
        next(part for part in model._flatten_layers() if type(part).__name__ == name)
        for name in ("ViTPatchingAndEmbedding", "ViTEncoder")
    )
    x, attentions = embed(images), []
    for block in encoder.encoder_layers:
        y = block.layer_norm_1(x)
        y, weights = block.mha(y, y, return_attention_scores=True)
        x = x + y
        x = x + block.mlp(block.layer_norm_2(x))
        attentions.append(weights)
    return attentions


@pytest.fixture
def vit_images():
    return np.random.default_rng(0).uniform(0, 1, (3, 32, 32, 3)).astype(np.float32)


def sharpen(model):
    """Enlarge the query kernels, so that attention is far from uniform."""
    for part in model._flatten_layers():
        if isinstance(part, layers.MultiHeadAttention):
            part.query_dense.kernel.assign(part.query_dense.kernel * 20)
    return model


@pytest.mark.parametrize("head_fusion", ["mean", "max"])
def test_vit_of_keras_hub(build_vit, vit_images, head_fusion):
    model = sharpen(build_vit())
    explainer = Explainer(model, "attention_rollout", head_fusion=head_fusion)
    assert explainer.map_shape == (4, 4)
    logits, heat = explainer.logits_and_heatmaps(vit_images)
    expected = rollout_in_numpy(
        vit_attentions(model, vit_images), 1, (4, 4), getattr(np, head_fusion)
    )
    np.testing.assert_allclose(heat, expected, atol=1e-4)
    np.testing.assert_allclose(explainer.logits(vit_images), logits, atol=1e-5)


def build_transformer(has_class_token, blocks=3, patch=8):
    """A hand-written functional model: 32 x 16 px, 4 x 2 patches."""
    image = keras.Input((32, 16, 3))
    x = layers.Conv2D(8, patch, strides=patch)(image)
    x = layers.Reshape((8, 8))(x)
    if has_class_token:
        token = layers.Dense(8)(layers.Lambda(lambda t: t[:, :1] * 0 + 1.0)(x))
        x = layers.Concatenate(axis=1)([token, x])
    x = layers.Embedding(9, 8)(ops.arange(x.shape[1])) + x
    for i in range(blocks):
        y = layers.LayerNormalization(name=f"norm_{i}")(x)
        y = layers.MultiHeadAttention(2, 4, name=f"attention_{i}", dropout=0.1 * i)(y, y)
        x = layers.Add(name=f"sum_{i}")([x, y])
    x = x[:, 0] if has_class_token else layers.GlobalAveragePooling1D()(x)
    return sharpen(keras.Model(image, layers.Dense(3)(x)))


@pytest.mark.parametrize("has_class_token", [True, False])
def test_functional_transformer(has_class_token):
    model = build_transformer(has_class_token)
    images = np.random.default_rng(0).uniform(0, 1, (2, 32, 16, 3)).astype(np.float32)
    attentions = []
    for i in range(3):
        y = keras.Model(model.input, model.get_layer(f"norm_{i}").output)(images)
        attentions.append(model.get_layer(f"attention_{i}")(y, y, return_attention_scores=True)[1])
    heat = Explainer(model, "attention_rollout").heatmaps(images)
    expected = rollout_in_numpy(attentions, int(has_class_token), (4, 2))
    np.testing.assert_allclose(heat, expected, atol=1e-4)


def test_uniform_attention_gives_a_blank_map(build_vit, vit_images):
    model = build_vit()
    for part in model._flatten_layers():
        if isinstance(part, layers.MultiHeadAttention):
            part.query_dense.kernel.assign(part.query_dense.kernel * 0)
    assert not Explainer(model, "attention_rollout").heatmaps(vit_images).any()


def test_the_class_makes_no_difference_and_the_model_is_as_before(build_vit, vit_images):
    model = sharpen(build_vit())
    answers = model.predict(vit_images, verbose=0)
    predicted = Explainer(model, "attention_rollout").heatmaps(vit_images)
    other = Explainer(model, "attention_rollout", explain="true").heatmaps(vit_images, [0, 1, 2])
    np.testing.assert_array_equal(predicted, other)
    assert not any("_compute_attention" in vars(part) for part in model._flatten_layers())
    np.testing.assert_array_equal(model.predict(vit_images, verbose=0), answers)


def test_attention_layers_are_restored_even_after_an_error(build_vit):
    model = build_vit()
    attentions = [p for p in model._flatten_layers() if isinstance(p, layers.MultiHeadAttention)]
    own = attentions[0]._compute_attention
    vars(attentions[0])["_compute_attention"] = own
    with pytest.raises(KeyError, match="stop"), recorded_attention(FlatClone(model)):
        assert vars(attentions[0])["_compute_attention"] is not own
        raise KeyError("stop")
    assert vars(attentions[0])["_compute_attention"] is own
    assert "_compute_attention" not in vars(attentions[1])


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_models_are_rolled_out_in_float32(build_vit, vit_images, policy):
    keras.config.set_dtype_policy(policy)
    half = sharpen(build_vit())
    keras.config.set_dtype_policy("float32")
    twin = build_vit()
    twin.set_weights(half.get_weights())
    heat = Explainer(half, "attention_rollout").heatmaps(vit_images)
    expected = rollout_in_numpy(vit_attentions(twin, vit_images), 1, (4, 4))
    np.testing.assert_allclose(heat, expected, atol=1e-4)


def test_a_batch_gives_the_maps_of_single_images(build_vit, vit_images):
    explainer = Explainer(sharpen(build_vit()), "attention_rollout")
    whole = explainer.heatmaps(vit_images)
    single = np.concatenate([explainer.heatmaps(image[None]) for image in vit_images])
    np.testing.assert_allclose(single, whole, atol=1e-5)
    assert np.isfinite(explainer.heatmaps(vit_images * 1e6)).all()


def test_other_networks_are_refused(build_cnn, images):
    with pytest.raises(ValueError, match=r"needs a transformer .* Found: no such layer"):
        Explainer(build_cnn(), "attention_rollout").heatmaps(images)


def test_attention_to_some_tokens_only_is_refused():
    image = keras.Input((16, 16, 3))
    tokens = layers.Reshape((16, 8))(layers.Conv2D(8, 4, strides=4)(image))
    x = layers.MultiHeadAttention(2, 4)(tokens, tokens[:, :4])
    model = keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling1D()(x + tokens)))
    with pytest.raises(ValueError, match=r"all 16 patches to all.*Found: .*\(16, 4\)"):
        Explainer(model, "attention_rollout").heatmaps(np.zeros((1, 16, 16, 3), np.float32))


def test_attention_within_windows_is_refused():
    image = keras.Input((16, 16, 3))
    tokens = layers.Reshape((16, 8))(layers.Conv2D(8, 4, strides=4)(image))
    both = layers.Concatenate(axis=0)([tokens, tokens])
    x = layers.MultiHeadAttention(2, 4)(both, both)
    x = ops.reshape(x, (-1, 32, 8))
    model = keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))
    with pytest.raises(tf.errors.InvalidArgumentError, match="within windows"):
        Explainer(model, "attention_rollout").heatmaps(np.zeros((1, 16, 16, 3), np.float32))


def test_unknown_fusion_is_refused():
    with pytest.raises(ValueError, match=r"`head_fusion` must be one of .*Received: 'min'"):
        AttentionRollout(head_fusion="min")
