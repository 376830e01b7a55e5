"""Every network of the library exports, explained, under a dtype policy of its own."""

import json

import keras
import keras_hub
import pytest

from export.__main__ import main
from proxy_keras import build_model
from proxy_keras.models.vit_base_patch16_224 import encode

NETWORKS = {
    "resnet18": "float32",
    "resnet20": "mixed_float16",
    "resnet50": "mixed_bfloat16",
    "vgg16": "float32",
    "efficientnet_b0": "mixed_bfloat16",
    "efficientnet_lite0": "float32",
}


def _small_vit(name):
    """A small ViT, ours or KerasHub's: class token, attention blocks, GELU."""
    inputs = keras.Input((32, 32, 3))
    images = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
    if name == "small_vit":
        tokens = encode(images, patch=8, num_blocks=2, num_heads=2, width=16, mlp_width=32)
    else:
        tokens = keras_hub.models.ViTBackbone(
            image_shape=(32, 32, 3),
            patch_size=8,
            num_layers=2,
            num_heads=2,
            hidden_dim=16,
            mlp_dim=32,
        )(images)
    logits = keras.layers.Dense(5, dtype="float32", name="logits")(tokens[:, 0])
    return keras.Model(inputs, logits, name=name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*NETWORKS, "small_vit", "keras_hub_vit"])
def test_a_network_exports_with_its_heatmap(name, tmp_path):
    keras.config.set_dtype_policy(NETWORKS.get(name, "mixed_float16"))
    if name in NETWORKS:
        model = build_model(name, num_classes=5, image_size=32)
    else:
        model = _small_vit(name)
    model.save(tmp_path / "model.keras")
    assert main([str(tmp_path / "model.keras"), "--out", str(tmp_path / "m.onnx"), "--quiet"]) == 0
    report = json.loads((tmp_path / "m.report.json").read_text())
    values = {(item["output"], item["batch_size"]): item["value"] for item in report["differences"]}
    for size in (1, 7):
        assert values["logits, float32 Keras", size] <= 1e-5
        assert values["heatmap, float32 Keras", size] <= 5e-5
    assert report["same_class"] == 1.0
