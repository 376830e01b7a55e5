"""ImageNet weights: that they answer as in the library they come from, and what happens offline."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
import pytest

from proxy_keras.models import build_model, imagenet, vit_base_patch16_224
from proxy_keras.models.flat import IMAGENET_MEAN, IMAGENET_STD, preprocessing
from proxy_keras.models.imagenet import fold_preprocessing


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Empty caches, and a network on which no name is known."""

    def unknown(*_: Any, **__: Any) -> Any:
        raise OSError("Name or service not known")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kagglehub"))
    monkeypatch.setattr("socket.create_connection", unknown)
    monkeypatch.delenv("https_proxy", raising=False)
    monkeypatch.delenv("HTTPS_PROXY", raising=False)


def features_of(model: keras.Model, images: np.ndarray) -> np.ndarray:
    return keras.Model(model.inputs[0], model.get_layer("pooling").input)(images).numpy()


def converter(mean: float = 0.0) -> Callable[[np.ndarray], np.ndarray]:
    return lambda raw: ((raw - IMAGENET_MEAN) / IMAGENET_STD - mean)[..., ::-1] * 3.0


def test_folding_takes_on_scales_and_exchanged_channels() -> None:
    rescaling = preprocessing()
    images = np.random.default_rng(0).uniform(0, 255, (2, 7, 7, 3)).astype(np.float32)
    conv = keras.layers.Conv2D(4, 3, padding="same")
    expected = conv(converter()(images).astype(np.float32))
    fold_preprocessing(conv, rescaling, converter())
    np.testing.assert_allclose(conv(rescaling(images)), expected, atol=2e-5)


def test_folding_refuses_another_mean() -> None:
    conv = keras.layers.Conv2D(4, 3)
    conv.build((None, 7, 7, 3))
    before = conv.kernel.numpy()
    with pytest.raises(ValueError, match="another mean"):
        fold_preprocessing(conv, preprocessing(), converter(mean=0.01))
    np.testing.assert_array_equal(conv.kernel.numpy(), before)


@pytest.mark.parametrize(
    ("name", "library", "builder"),
    [
        ("resnet50", keras.applications.resnet50, "ResNet50"),
        ("vgg16", keras.applications.vgg16, "VGG16"),
    ],
)
def test_caffe_weights_answer_rgb_as_the_library_does(
    name: str, library: Any, builder: str, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = getattr(keras.applications, builder)(
        weights=None, include_top=False, input_shape=(None, None, 3)
    )
    monkeypatch.setattr(imagenet, "applications_backbone", lambda *_: backbone)
    model = build_model(name, num_classes=2, image_size=64, weights="imagenet")
    expected = backbone(library.preprocess_input(images.copy())).numpy()
    answer = features_of(model, images)
    np.testing.assert_allclose(answer, expected, atol=1e-4 * np.abs(expected).max())
    # The opposite order of channels would be seen.
    assert not np.allclose(features_of(model, images[..., ::-1]), expected, rtol=0.01)


@pytest.mark.parametrize("size", [64, 65])
def test_efficientnet_weights_take_over_the_preprocessing_stored_with_them(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = keras.applications.EfficientNetB0(
        weights=None, include_top=False, input_shape=(size, size, 3)
    )
    normalisation = next(
        layer for layer in whole.layers if isinstance(layer, keras.layers.Normalization)
    )
    # As the published file has it: means and standard deviations on the scale of [0, 1]; here the
    # second rescaling of the library's ImageNet graph is left out, so the scales differ from ours.
    state = [np.array(IMAGENET_MEAN) / 255, np.array(IMAGENET_STD) / 255, np.array(0)]
    normalisation.set_weights(state)
    normalisation.finalize_state()
    monkeypatch.setattr(imagenet, "applications_backbone", lambda *_: whole)
    model = build_model("efficientnet_b0", num_classes=2, image_size=size, weights="imagenet")
    images = np.random.default_rng(0).uniform(0, 255, (2, size, size, 3)).astype(np.float32)
    # Untrained, its last features are all but zero: an early block shows more.
    expected, answer = (
        keras.Model(network.inputs[0], network.get_layer("block2b_add").output)(images).numpy()
        for network in (whole, model)
    )
    np.testing.assert_allclose(answer, expected, atol=1e-5 * np.abs(expected).max())
    for old, new in zip(whole.weights[4:], model.weights[1:-2], strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_preset_on_disk_is_used_without_a_network(
    no_network: None, images: np.ndarray, tmp_path: Path
) -> None:
    backbone = keras_hub.models.ResNetBackbone(
        [64], [7], [64, 128, 256, 512], [2, 2, 2, 2], [1, 2, 2, 2], "basic_block"
    )
    handle = keras_hub.models.Backbone.presets["resnet_18_imagenet"]["kaggle_handle"]
    folder = tmp_path / "kagglehub" / "models" / handle.removeprefix("kaggle://")
    scale = [2.0 / s for s in IMAGENET_STD]
    offset = [-2.0 * m / s for m, s in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)]
    backbone.save_to_preset(str(folder))
    keras_hub.layers.ResNetImageConverter(
        image_size=(224, 224), scale=scale, offset=offset
    ).save_to_preset(str(folder))
    model = build_model("resnet18", num_classes=2, image_size=64, weights="imagenet")
    expected = backbone((images * np.array(scale) + np.array(offset)).astype(np.float32)).numpy()
    np.testing.assert_allclose(
        features_of(model, images), expected, atol=1e-4 * np.abs(expected).max()
    )


@pytest.mark.slow
def test_vit_weights_fit_another_size_by_interpolated_positions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = keras_hub.models.ViTBackbone(
        image_shape=(96, 96, 3),
        patch_size=16,
        num_layers=12,
        num_heads=12,
        hidden_dim=768,
        mlp_dim=3072,
    )
    monkeypatch.setattr(imagenet, "hub_backbone", lambda _: (source, lambda raw: raw / 127.5 - 1))
    for size in (96, 64):
        model = build_model(
            "vit_base_patch16_224", num_classes=2, image_size=size, weights="imagenet"
        )
        positions = model.get_layer("position_embedding").embeddings
        assert positions.shape == (1 + (size // 16) ** 2, 768)
        if size == 96:
            images = np.random.default_rng(0).uniform(0, 255, (2, 96, 96, 3)).astype(np.float32)
            tokens = keras.Model(model.inputs[0], model.get_layer("ln").output)(images)
            np.testing.assert_allclose(tokens, source(images / 127.5 - 1), atol=1e-4)


def test_positions_are_interpolated_on_their_grid_and_the_class_token_is_kept() -> None:
    ramp = np.arange(4, dtype=np.float32)
    grid = np.stack(np.meshgrid(ramp, ramp, indexing="ij"), -1).reshape(16, 2)
    embeddings = np.concatenate([[[7.0, 8.0]], grid]).astype(np.float32)
    halved = vit_base_patch16_224.resize_positions(embeddings, 1 + 2 * 2)
    np.testing.assert_array_equal(halved[0], [7.0, 8.0])
    # Antialiased halving of 0 1 2 3: a tent two cells wide, cut at the border, over cells' centres.
    low, high = 5 / 7, 16 / 7
    np.testing.assert_allclose(
        halved[1:], [[low, low], [low, high], [high, low], [high, high]], atol=1e-5
    )
    np.testing.assert_array_equal(vit_base_patch16_224.resize_positions(embeddings, 17), embeddings)


@pytest.mark.parametrize(
    ("name", "brings"),
    [
        ("resnet18", "resnet_18_imagenet"),
        ("resnet50", "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        ("vgg16", "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        ("efficientnet_b0", "efficientnetb0_notop.h5"),
    ],
)
def test_offline_fails_within_ten_seconds_and_says_which_file_to_bring(
    no_network: None, name: str, brings: str
) -> None:
    start = time.monotonic()
    with pytest.raises(ConnectionError, match="On a machine with a network run") as caught:
        build_model(name, num_classes=2, image_size=64, weights="imagenet")
    assert time.monotonic() - start < 10
    assert brings in str(caught.value)


def test_the_files_asked_for_are_the_ones_keras_applications_looks_up(
    no_network: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The name in our message is the name that Keras itself passes to its cache."""
    asked: list[str] = []

    def get_file(file_name: str, *_: Any, **__: Any) -> str:
        asked.append(file_name)
        raise FileNotFoundError(file_name)

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    for name, file_name in [
        ("resnet50", "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        ("vgg16", "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        ("efficientnet_b0", "efficientnetb0_notop.h5"),
    ]:
        (tmp_path / "keras" / "models").mkdir(parents=True, exist_ok=True)
        (tmp_path / "keras" / "models" / file_name).touch()
        with pytest.raises(FileNotFoundError):
            build_model(name, num_classes=2, image_size=64, weights="imagenet")
        assert asked[-1] == file_name
