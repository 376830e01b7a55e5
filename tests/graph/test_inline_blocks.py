"""Transformer blocks that fall into their layers, where a flat clone is asked to inline them."""

import keras
import numpy as np
import pytest
from keras import layers

from proxy_keras.attribution.target_layer import expose_target
from proxy_keras.graph import FlatClone


def images(size=32):
    return np.random.default_rng(0).uniform(0, 1, (2, size, size, 3)).astype(np.float32)


@pytest.fixture
def vit():
    """keras_hub's ViT for 32 px images, with two blocks, as one nested layer."""
    from keras_hub.models import ViTBackbone

    backbone = ViTBackbone(
        image_shape=(32, 32, 3),
        patch_size=8,
        num_layers=2,
        num_heads=2,
        hidden_dim=16,
        mlp_dim=32,
        name="backbone",
    )
    image = keras.Input((32, 32, 3))
    return keras.Model(image, layers.Dense(4)(backbone(image)[:, 0]))


class Mixer(layers.Layer):
    """A layer that computes attention without a layer of Keras for it."""

    def build(self, shape):
        self.mix = layers.Dense(shape[-1])
        self.mix.build(shape)


class MixerAttention(Mixer):
    def call(self, x):
        return self.mix(x * keras.ops.softmax(x))


class Mlp(Mixer):
    def call(self, x):
        return keras.ops.relu(self.mix(x))


class Scale(layers.Layer):
    """A layer of one's own without layers in it."""

    def build(self, shape):
        self.factor = self.add_weight(shape=shape[-1:], initializer="ones")

    def call(self, x):
        return x * self.factor


class AttentionBlock(layers.Layer):
    """A block that is itself named after attention, and holds one of Keras and one of its own."""

    def build(self, shape):
        self.mha = layers.MultiHeadAttention(2, 4, name="mha")
        self.mha.build(shape, shape)
        self.own_attention = MixerAttention(name="own_attention")
        self.mlp = Mlp(name="mlp")
        self.scale = Scale(name="scale")
        for layer in (self.own_attention, self.mlp, self.scale):
            layer.build(shape)

    def call(self, x):
        return self.mlp(self.own_attention(x + self.mha(x, x))) + self.scale(x)


def own_model():
    image = keras.Input((8, 8, 3))
    tokens = layers.Reshape((16, 8))(layers.Conv2D(8, 2, 2)(image))
    for number in (1, 2):
        tokens = AttentionBlock(name=f"block_{number}")(tokens)
    return keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling1D()(tokens)))


def kinds(flat):
    return [type(layer).__name__ for layer in flat.model.layers]


def test_a_vit_falls_into_layers_of_keras(vit):
    whole, inlined = FlatClone(vit), FlatClone(vit, inline_blocks=True)
    assert "MultiHeadAttention" not in kinds(whole)
    assert kinds(inlined).count("MultiHeadAttention") == 2
    # The embedding of the patches, which is no block, stays one borrowed layer.
    assert kinds(inlined).count("BorrowedLayer") == 1
    expected = vit(images())
    for flat in (whole, inlined):
        np.testing.assert_allclose(flat.model(images()), expected, atol=1e-5)


def test_a_block_keeps_its_name_and_its_parts_get_paths(vit):
    whole, inlined = FlatClone(vit), FlatClone(vit, inline_blocks=True)
    assert set(whole.names) < set(inlined.names)
    block = "backbone/vit_encoder/transformer_block_1"
    assert {f"{block}/mha", f"{block}/mlp/dense_1", f"{block}/mlp"} <= set(inlined.names)
    tensor = inlined.tensor("transformer_block_1")
    assert inlined.name_of(tensor) == "transformer_block_1"
    sub_models = [
        keras.Model(flat.model.inputs[0], flat.tensor("transformer_block_1"))
        for flat in (whole, inlined)
    ]
    np.testing.assert_allclose(*(model(images()) for model in sub_models), atol=1e-5)


def test_the_target_layer_is_the_same(vit):
    for inline_blocks in (False, True):
        name, target = expose_target(FlatClone(vit, inline_blocks=inline_blocks), None)
        assert (name, tuple(target.shape)) == ("transformer_block_1", (None, 4, 4, 16))


def test_blocks_of_ones_own():
    model = own_model()
    whole, inlined = FlatClone(model), FlatClone(model, inline_blocks=True)
    assert kinds(whole).count("BorrowedLayer") == 2
    assert kinds(inlined).count("MultiHeadAttention") == 2
    # What computes attention without Keras stays whole, so that it is seen as attention, and so
    # does what has no parts.
    borrowed = [layer for layer in inlined.model.layers if hasattr(layer, "original")]
    assert {type(layer.original) for layer in borrowed if isinstance(layer, layers.Layer)} == {
        MixerAttention,
        Scale,
    }
    np.testing.assert_allclose(inlined.model(images(8)), model(images(8)), atol=1e-5)
    names = [expose_target(flat, None)[0] for flat in (whole, inlined)]
    assert names == ["block_1", "block_1"]


def test_weights_are_copied_again_and_the_model_left_alone(vit):
    before = [len(layer._inbound_nodes) for layer in vit._flatten_layers()]
    flat = FlatClone(vit, inline_blocks=True)
    assert [len(layer._inbound_nodes) for layer in vit._flatten_layers()] == before
    for weight in vit.weights:
        weight.assign(weight * 0.5)
    flat.refresh()
    np.testing.assert_allclose(flat.model(images()), vit(images()), atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16"])
def test_inlined_blocks_compute_in_float32(policy):
    keras.config.set_dtype_policy(policy)
    model = own_model()
    flat = FlatClone(model, inline_blocks=True)
    keras.config.set_dtype_policy("float32")
    reference = own_model()
    for source, target in zip(model.weights, reference.weights, strict=True):
        target.assign(keras.ops.cast(source, "float32"))
    np.testing.assert_allclose(flat.model(images(8)), reference(images(8)), atol=1e-5)
