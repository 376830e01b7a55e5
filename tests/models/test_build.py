"""Every network by name: its size, maps and preprocessing; and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from proxy_keras.models import build_model, names

# Trainable parameters with 10 classes at 32 px, worked out from the papers' tables: convolutions
# without biases and two parameters a channel for BatchNormalization (VGG-16 and ViT have biases).
TRAINABLE = {
    "resnet18": 11_173_962,
    "resnet20": 269_722,
    "resnet50": 23_547_402,
    "vgg16": 14_714_688 + 5_130,
    "efficientnet_b0": 4_007_548 + 12_810,
    # The published network has 1,000 classes.
    "efficientnet_lite0": 4_652_008 - 1_281_000 + 12_810,
    "small_cnn": 9 * (3 * 32 + 32 * 64 + 64 * 128) + 2 * (32 + 64 + 128) + 1_290,
}
MAP_AT_32 = {
    "resnet18": 4,
    "resnet20": 8,
    "resnet50": 4,
    "vgg16": 4,
    "efficientnet_b0": 4,
    "efficientnet_lite0": 4,
    "small_cnn": 8,
}
IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
OWN_SCALE = {"efficientnet_lite0": ((127.0,) * 3, (128.0,) * 3)}
LAST_CONVOLUTION = {"vgg16": "block5_conv3"}


def last_map(model: keras.Model) -> keras.KerasTensor:
    """Returns the last 4-D tensor before pooling (VGG: before its own last pooling)."""
    name = LAST_CONVOLUTION.get(model.name)
    return model.get_layer(name).output if name else model.get_layer("pooling").input


@pytest.fixture(scope="module", params=sorted(MAP_AT_32))
def small_model(request: pytest.FixtureRequest) -> keras.Model:
    return build_model(request.param, num_classes=10, image_size=32)


def test_names_are_those_of_the_documentation() -> None:
    assert names() == (
        "efficientnet_b0",
        "efficientnet_lite0",
        "resnet18",
        "resnet20",
        "resnet50",
        "small_cnn",
        "vgg16",
        "vit_base_patch16_224",
    )


def test_a_small_model_is_flat_and_answers_float32_logits(small_model: keras.Model) -> None:
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    logits = small_model(images)
    assert logits.shape == (2, 10) and logits.dtype == "float32"
    assert np.isfinite(logits).all()
    assert not any(isinstance(layer, keras.Model) for layer in small_model.layers)
    head = small_model.layers[-1]
    assert head.name == "logits" and head.activation is keras.activations.linear


def test_32_px_leave_a_map_of_at_least_4x4_cells(small_model: keras.Model) -> None:
    side = MAP_AT_32[small_model.name]
    assert last_map(small_model).shape[1:3] == (side, side)


def test_the_number_of_parameters_is_the_papers(small_model: keras.Model) -> None:
    count = sum(int(np.prod(v.shape)) for v in small_model.trainable_variables)
    assert count == TRAINABLE[small_model.name]


def test_batch_normalisation_averages_over_tens_of_steps(small_model: keras.Model) -> None:
    momenta = {
        layer.momentum
        for layer in small_model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    }
    assert momenta <= {0.9}


def test_preprocessing_subtracts_the_mean_of_each_channel(
    small_model: keras.Model,
) -> None:
    front = keras.Model(small_model.inputs[0], small_model.get_layer("preprocessing").output)
    # Red, green and blue differ, so that an exchange of channels shows.
    mean, std = OWN_SCALE.get(small_model.name, (IMAGENET_MEAN, IMAGENET_STD))
    pixels = np.array(mean, np.float32) + np.array([1, 0, -1], np.float32) * std
    answer = front(np.broadcast_to(pixels, (1, 32, 32, 3)))
    # ResNet-50's and VGG's own means lie within 0.5 grey levels of the others.
    np.testing.assert_allclose(answer[0, 0, 0], [1.0, 0.0, -1.0], atol=0.01)


@pytest.mark.parametrize(
    "name", ["resnet18", "resnet50", "vgg16", "efficientnet_b0", "efficientnet_lite0"]
)
def test_from_64_px_on_the_stem_is_the_papers(name: str) -> None:
    model = build_model(name, num_classes=2, image_size=64)
    assert last_map(model).shape[1:3] == ((4, 4) if name == "vgg16" else (2, 2))


@pytest.mark.parametrize("name", ["resnet18", "resnet20", "efficientnet_b0", "efficientnet_lite0"])
def test_odd_sizes_and_the_smallest_are_built(name: str) -> None:
    for size in (16, 28, 33):
        logits = build_model(name, num_classes=2, image_size=size)(np.zeros((1, size, size, 3)))
        assert np.isfinite(logits).all()


def test_a_seed_fixes_the_weights() -> None:
    drawn = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        drawn.append(build_model("resnet20", num_classes=3, image_size=16).get_weights()[0])
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


def test_the_head_is_float32_under_mixed_precision_and_the_rest_is_not() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = build_model("resnet20", num_classes=3, image_size=16, dropout=0.5)
    assert model.get_layer("stem_conv").compute_dtype == "bfloat16"
    assert model.get_layer("preprocessing").compute_dtype == "float32"
    assert model(np.zeros((1, 16, 16, 3))).dtype == "float32"


def test_dropout_drops_pooled_features_in_training_only() -> None:
    model = build_model("resnet20", num_classes=3, image_size=16, dropout=0.5)
    assert model.layers[-2].rate == 0.5
    images = np.random.default_rng(0).uniform(0, 255, (1, 16, 16, 3))
    np.testing.assert_array_equal(model(images), model(images))
    assert not np.array_equal(model(images, training=True), model(images, training=True))


@pytest.mark.slow
def test_resnet20_learns_to_tell_red_from_blue() -> None:
    images = np.zeros((32, 16, 16, 3), np.float32)
    labels = np.arange(32) % 2
    images[np.arange(32), :, :, 2 * labels] = 255.0
    model = build_model("resnet20", num_classes=2, image_size=16)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, labels, epochs=12, batch_size=16, verbose=0)
    np.testing.assert_array_equal(np.argmax(model(images), -1), labels)


def test_a_saved_model_answers_the_same(tmp_path: Path) -> None:
    model = build_model("resnet20", num_classes=3, image_size=16)
    model.save(f"{tmp_path}/model.keras")
    images = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3))
    np.testing.assert_array_equal(
        keras.models.load_model(f"{tmp_path}/model.keras")(images), model(images)
    )
    json.loads(model.to_json())


@pytest.mark.slow
def test_vit_below_64_px_has_patches_of_4_px_and_survives_saving(tmp_path: Path) -> None:
    model = build_model("vit_base_patch16_224", num_classes=10, image_size=32)
    assert model.get_layer("ln").output.shape == (None, 8 * 8 + 1, 768)
    # The paper's 12 blocks, last normalisation, class token, 65 positions, 4x4x3 patches.
    blocks = 12 * 7_087_872 + 2 * 768
    head = model.get_layer("logits").count_params()
    backbone = blocks + 768 + 65 * 768 + (4 * 4 * 3 + 1) * 768
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == backbone + head
    model.save(f"{tmp_path}/model.keras")
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3))
    loaded = keras.models.load_model(f"{tmp_path}/model.keras")
    np.testing.assert_allclose(loaded(images), model(images), atol=1e-6)


def test_vit_refuses_sizes_that_its_patches_do_not_tile() -> None:
    with pytest.raises(ValueError, match=r"multiple of 16.*image_size=100.*Use 96 or 112"):
        build_model("vit_base_patch16_224", num_classes=2, image_size=100)
    with pytest.raises(ValueError, match=r"multiple of 4.*Use 32 or 36"):
        build_model("vit_base_patch16_224", num_classes=2, image_size=33)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "resnet19"}, "Unknown model 'resnet19'. Known: efficientnet_b0"),
        ({"num_classes": 1}, "at least two classes. Received: num_classes=1"),
        ({"image_size": 15}, "at least 16 px.*image_size=15"),
        ({"dropout": 1.0}, r"in \[0, 1\).*dropout=1.0"),
        ({"weights": "imagenet"}, "no ImageNet weights for resnet20"),
        ({"name": "resnet18", "weights": "imagenet"}, "below 64 px: the stem"),
    ],
)
def test_what_cannot_be_built_is_refused(arguments: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {"name": "resnet20", "num_classes": 3, "image_size": 32}
    with pytest.raises(ValueError, match=message):
        build_model(**{**good, **arguments})
