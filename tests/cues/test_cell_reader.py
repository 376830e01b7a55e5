"""Evidence is activation times gradient of "predicted over mean", in float32, for any model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from proxy_keras.cues.cell_reader import CellReader
from proxy_keras.graph import FlatClone

HEAD = np.array([[2.0, 0.0, -1.0], [0.0, 3.0, 0.0]], np.float32)


def linear(activation: str | None = None, size: int | None = 2) -> keras.Model:
    """The image is the map [2, 2, 2]; pooling and a dense layer follow."""
    image = keras.Input([size, size, 2])
    cells = layers.Conv2D(2, 1, use_bias=False, name="cells")(image)
    pooled = layers.GlobalAveragePooling2D()(cells)
    model = keras.Model(image, layers.Dense(3, use_bias=False, activation=activation)(pooled))
    model.set_weights([np.eye(2, dtype=np.float32)[None, None], HEAD])
    return model


def expected(cells: NDArray[Any], gradients: NDArray[Any]) -> NDArray[Any]:
    evidence = np.maximum((cells * gradients).sum(axis=-1), 0)
    highest = evidence.max(axis=(1, 2), keepdims=True)
    return np.divide(evidence, highest, out=np.zeros_like(evidence), where=highest > 0)


def test_evidence_of_a_linear_head_by_hand() -> None:
    # Logits (mean (1, 1)): 2, 3, -1, so class 1; W_1 - mean W = (0 - 1/3, 3 - 1) = (-1/3, 2).
    image = np.array([[[[3, 0], [0, 2]], [[0, 1], [1, 1]]]], np.float32)
    read = CellReader(linear(), "cells").read(image)
    np.testing.assert_allclose(read.logits, [[2, 3, -1]], atol=1e-6)
    np.testing.assert_allclose(read.evidence, [[[0, 1], [0.5, (5 / 3) / 4]]], atol=1e-6)
    half = np.sqrt(0.5)
    np.testing.assert_allclose(
        read.features, [[[[1, 0], [0, 1]], [[0, 1], [half, half]]]], atol=1e-6
    )
    assert {array.dtype for array in read} == {np.dtype(np.float32)}


def test_evidence_of_a_linear_head_is_the_closed_form() -> None:
    images = np.random.default_rng(0).normal(size=[9, 2, 2, 2]).astype(np.float32)
    read = CellReader(linear(), "cells").read(images)
    predicted = (images.mean(axis=(1, 2)) @ HEAD).argmax(axis=1)
    weights = HEAD.T[predicted] - HEAD.mean(axis=1)
    np.testing.assert_allclose(read.evidence, expected(images, weights[:, None, None]), atol=1e-5)
    assert set(predicted.tolist()) == {0, 1, 2}


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_an_activation_at_the_end_changes_nothing(activation: str) -> None:
    images = np.random.default_rng(0).normal(size=[4, 2, 2, 2]).astype(np.float32)
    plain, other = (CellReader(linear(end), "cells").read(images) for end in (None, activation))
    for one, two in zip(plain, other, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)


def mlp_head() -> keras.Model:
    image = keras.Input([4, 4, 3])
    cells = layers.Conv2D(5, 3, padding="same", activation="relu", name="cells")(image)
    cells = layers.BatchNormalization()(cells)
    hidden = layers.Dense(6, activation="tanh")(layers.Flatten()(cells))
    return keras.Model(image, layers.Dense(4)(hidden))


def by_tape(model: keras.Model, layer: str, images: NDArray[Any]) -> NDArray[Any]:
    """Return activation times gradient, computed with a tape on the flat model."""
    flat = FlatClone(model)
    both = keras.Model(flat.model.inputs, [flat.tensor(layer), flat.output])
    with tf.GradientTape() as tape:
        value = tf.Variable(images)
        cells, logits = both(value, training=False)
        predicted = tf.one_hot(tf.argmax(logits, axis=1), logits.shape[1])
        score = tf.reduce_sum(logits * predicted, axis=1) - tf.reduce_mean(logits, axis=1)
    return expected(cells.numpy(), tape.gradient(score, cells).numpy())


def test_evidence_of_another_head_is_activation_times_gradient() -> None:
    images = np.random.default_rng(0).normal(size=[6, 4, 4, 3]).astype(np.float32)
    model = mlp_head()
    read = CellReader(model, "cells").read(images)
    np.testing.assert_allclose(read.evidence, by_tape(model, "cells", images), atol=1e-5)
    assert read.evidence.max(axis=(1, 2)).tolist() == [1.0] * 6


def nested() -> keras.Model:
    inner_input = keras.Input([8, 8, 3])
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(inner_input)
    inner = keras.Model(
        inner_input, layers.Conv2D(6, 3, 2, "same", activation="relu", name="last")(x), name="body"
    )
    image = keras.Input([8, 8, 3])
    return keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(inner(image))))


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.first = layers.Conv2D(4, 3, padding="same", activation="relu", name="first")
        self.last = layers.Conv2D(6, 3, 2, "same", activation="relu", name="last")
        self.top = layers.Dense(3)

    def call(self, images: Any) -> Any:
        cells = self.last(self.first(images))
        return self.top(keras.ops.mean(cells, axis=(1, 2)))


def subclassed() -> keras.Model:
    model = Subclassed()
    model(np.zeros([1, 8, 8, 3], np.float32))
    return model


def sequential() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input([8, 8, 3]),
            layers.Conv2D(4, 3, padding="same", activation="relu", name="first"),
            layers.Conv2D(6, 3, 2, "same", activation="relu", name="last"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )


@pytest.mark.parametrize("build", [nested, subclassed, sequential])
@pytest.mark.parametrize(("layer", "shape"), [("first", (8, 8, 4)), ("last", (4, 4, 6))])
def test_any_layer_of_any_kind_of_model(
    build: Callable[[], keras.Model], layer: str, shape: tuple[int, int, int]
) -> None:
    model = build()
    images = np.random.default_rng(0).normal(size=[3, 8, 8, 3]).astype(np.float32)
    reader = CellReader(model, layer)
    read = reader.read(images)
    assert reader.target_layer == layer and reader.depth == shape[2] and reader.num_classes == 3
    assert reader.image_shape == (8, 8, 3)
    assert read.features.shape == (3, *shape) and read.evidence.shape == (3, *shape[:2])
    np.testing.assert_allclose(read.evidence, by_tape(model, layer, images), atol=1e-5)
    np.testing.assert_allclose(
        read.logits, keras.ops.convert_to_numpy(model(images, training=False)), atol=1e-5
    )
    assert CellReader(model).target_layer == "last" or build is nested


@pytest.mark.slow
def test_tokens_of_a_transformer_are_a_grid() -> None:
    from keras_hub.models import ViTBackbone, ViTImageClassifier

    backbone = ViTBackbone(
        image_shape=(32, 32, 3),
        patch_size=8,
        num_layers=2,
        num_heads=2,
        hidden_dim=16,
        mlp_dim=32,
    )
    model = ViTImageClassifier(backbone=backbone, num_classes=4, pooling="token")
    # The class token reads the other tokens through the normalisation alone.
    reader = CellReader(model)
    assert reader.target_layer.endswith("transformer_block_2/ln_1")
    images = 3 * np.random.default_rng(1).normal(size=[3, 32, 32, 3]).astype(np.float32)
    read = reader.read(images)
    assert read.features.shape == (3, 4, 4, 16)
    np.testing.assert_allclose(np.linalg.norm(read.features, axis=-1), 1.0, atol=1e-5)
    assert read.evidence.max(axis=(1, 2)).tolist() == [1.0] * 3 and read.evidence.min() >= 0.0
    block = reader.target_layer.replace("2/ln_1", "1").rsplit("/", 1)[-1]
    with pytest.raises(ValueError, match=f"'{block}' is only rounding error.*2/ln_1'"):
        CellReader(model, block)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_cells_are_read_in_float32_under_any_policy(policy: str) -> None:
    model = mlp_head()
    keras.config.set_dtype_policy(policy)
    mixed = mlp_head()
    mixed.set_weights(model.get_weights())
    images = np.random.default_rng(0).normal(size=[3, 4, 4, 3]).astype(np.float32)
    name = [layer.name for layer in mixed.layers if isinstance(layer, layers.Conv2D)][0]
    one, two = CellReader(model, "cells").read(images), CellReader(mixed, name).read(images)
    for plain, other in zip(one, two, strict=True):
        np.testing.assert_allclose(plain, other, atol=1e-5)
    assert keras.config.dtype_policy().name == policy


def test_images_of_any_size() -> None:
    reader = CellReader(linear(size=None), "cells")
    assert reader.image_shape == (None, None, 2)
    rng = np.random.default_rng(0)
    for height, width in ((2, 2), (3, 5)):
        read = reader.read(rng.normal(size=[2, height, width, 2]))
        assert read.evidence.shape == (2, height, width)


def test_any_real_dtype_of_images() -> None:
    images = np.random.default_rng(0).integers(0, 9, [3, 2, 2, 2])
    reader = CellReader(linear(), "cells")
    plain = reader.read(images.astype(np.float32))
    for dtype in (np.uint8, np.int64, np.float16, np.float64):
        for one, two in zip(plain, reader.read(images.astype(dtype)), strict=True):
            np.testing.assert_array_equal(one, two)


def test_zero_cells_stay_zero_and_resemble_nothing() -> None:
    images = np.zeros([2, 2, 2, 2], np.float32)
    images[0, 0, 0] = [0, 5]
    reader = CellReader(linear(), "cells")
    read = reader.read(images)
    assert not read.features[1].any() and not read.evidence[1].any()
    assert read.features[0, 0, 0].tolist() == [0, 1] and np.count_nonzero(read.features) == 1
    found = reader.nearest(images, np.array([[1, 0], [0, 1]], np.float32))
    assert found.clusters[0].tolist() == [[1, 0], [0, 0]]
    assert found.similarity[0].tolist() == [[1, 0], [0, 0]] and not found.similarity[1].any()


def test_nearest_centroid_by_cosine() -> None:
    images = np.random.default_rng(1).normal(size=[5, 2, 2, 2]).astype(np.float32)
    angles = np.linspace(0, 2 * np.pi, 7, endpoint=False)
    centroids = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    reader = CellReader(linear(), "cells")
    found, read = reader.nearest(images, centroids), reader.read(images)
    similarity = read.features @ centroids.T
    np.testing.assert_array_equal(found.clusters, similarity.argmax(axis=-1))
    np.testing.assert_allclose(found.similarity, similarity.max(axis=-1), atol=1e-6)
    np.testing.assert_array_equal(found.evidence, read.evidence)
    again = reader.assign(read, centroids)
    np.testing.assert_array_equal(again.clusters, found.clusters)
    np.testing.assert_allclose(again.similarity, found.similarity, atol=1e-6)


def test_the_model_is_not_changed() -> None:
    model = mlp_head()
    images = np.random.default_rng(0).normal(size=[6, 4, 4, 3]).astype(np.float32)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, np.arange(6) % 4, verbose=0)
    variables = [*model.variables, *model.optimizer.variables]
    before = [keras.ops.convert_to_numpy(variable).copy() for variable in variables]
    reader = CellReader(model, "cells")
    read = reader.read(images)
    reader.nearest(images, np.eye(5, dtype=np.float32))
    after = [keras.ops.convert_to_numpy(variable) for variable in variables]
    assert all(map(np.array_equal, before, after))
    # Nor does the reader follow the model.
    model.set_weights([0 * weight for weight in model.get_weights()])
    np.testing.assert_array_equal(reader.read(images).evidence, read.evidence)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_an_error(value: float) -> None:
    images = np.ones([3, 2, 2, 2], np.float32)
    images[1, 0, 0, 0] = value
    reader = CellReader(linear(), "cells")
    with pytest.raises(FloatingPointError, match="1 of 3 logits are not finite.*layer 'cells'"):
        reader.read(images)
    with pytest.raises(FloatingPointError, match="1 of 3 logits are not finite"):
        reader.nearest(images, np.eye(2, dtype=np.float32))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros([2, 2, 2]), r"must be a batch \[B, H, W, C\]"),
        (np.zeros([1, 3, 2, 2]), r"The model takes images \(2, 2, 2\)"),
        (np.zeros([1, 2, 2, 3]), r"The model takes images \(2, 2, 2\)"),
    ],
)
def test_images_of_another_shape_are_refused(images: NDArray[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CellReader(linear(), "cells").read(images)


@pytest.mark.parametrize("layer", ["none", "dense", "global_average_pooling2d"])
def test_other_layers_are_refused(layer: str) -> None:
    model = linear()
    names = {kind: found.name for found in model.layers for kind in [found.name.rsplit("_", 1)[0]]}
    with pytest.raises(ValueError, match="layer"):
        CellReader(model, names.get(layer, layer))
