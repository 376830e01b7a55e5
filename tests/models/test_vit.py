"""Our ViT against KerasHub's: the same tokens, and the same heatmaps."""

from __future__ import annotations

import keras
import keras_hub
import numpy as np
import pytest

from proxy_keras.attribution.explainer import Explainer
from proxy_keras.models.vit_base_patch16_224 import copy_weights, encode


def build_pair() -> tuple[keras.Model, keras.Model]:
    """Return KerasHub's ViT and ours with the same random weights, for 32 x 48 px images."""
    hub = keras_hub.models.ViTBackbone(
        image_shape=(32, 48, 3),
        patch_size=8,
        num_layers=2,
        num_heads=2,
        hidden_dim=16,
        mlp_dim=32,
    )
    rng = np.random.default_rng(0)
    hub.set_weights([rng.normal(0, 0.5, w.shape) for w in hub.get_weights()])
    images = keras.Input((32, 48, 3))
    ours = keras.Model(
        images, encode(images, patch=8, num_blocks=2, num_heads=2, width=16, mlp_width=32)
    )
    copy_weights(hub, ours)
    return hub, ours


def draw_images() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(3, 32, 48, 3)).astype(np.float32)


@pytest.mark.parametrize(("policy", "atol"), [("float32", 1e-5), ("mixed_bfloat16", 0.05)])
def test_it_computes_the_same_tokens(policy: str, atol: float) -> None:
    keras.config.set_dtype_policy(policy)
    hub, ours = build_pair()
    assert ours.count_params() == hub.count_params()
    expected, tokens = (keras.ops.cast(vit(draw_images()), "float32") for vit in (hub, ours))
    np.testing.assert_allclose(tokens, expected, atol=atol)


@pytest.mark.parametrize("method", ["grad_cam", "attention_rollout"])
def test_it_is_explained_at_the_same_block(method: str) -> None:
    head = keras.layers.Dense(3)
    explainers = [
        Explainer(keras.Model(vit.inputs[0], head(vit.outputs[0][:, 0])), method)
        for vit in build_pair()
    ]
    assert {explainer.target_layer for explainer in explainers} == {"transformer_block_1"}
    expected, heatmaps = (explainer.heatmaps(draw_images()) for explainer in explainers)
    assert heatmaps.shape == (3, 4, 6) and heatmaps.max() == 1.0
    np.testing.assert_allclose(heatmaps, expected, atol=1e-4)
