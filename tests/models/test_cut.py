"""Places where a network is cut: named, listed, and refused where a path goes around them."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from proxy_keras.models import build_model
from proxy_keras.models.cut import cut_before
from proxy_keras.models.frozen_split import split_frozen
from proxy_keras.models.vit_base_patch16_224 import encode


def _small_vit() -> keras.Model:
    inputs = keras.Input((32, 32, 3))
    tokens = encode(inputs, patch=8, num_blocks=2, num_heads=2, width=16, mlp_width=32)
    return keras.Model(inputs, layers.Dense(2, name="logits")(tokens[:, 0]))


def _choices(model: keras.Model) -> list[str]:
    with pytest.raises(ValueError, match=r"no layer or stage 'nothing'\. Choose one of: ") as error:
        cut_before(model, "nothing")
    return str(error.value).partition("of: ")[2].rstrip(".").split(", ")


LAST_STAGES = {
    # Names of the last two stages, and the shapes of their inputs at 64 px.
    "efficientnet_lite0": {"blocks_11": (4, 4, 112), "blocks_15": (2, 2, 192)},
    "resnet18": {"stack2": (8, 8, 128), "stack3": (4, 4, 256)},
    "resnet20": {"stage2": (64, 64, 16), "stage3": (32, 32, 32)},
    "small_cnn": {"block2": (64, 64, 32), "block3": (32, 32, 64)},
    "vgg16": {"block4": (8, 8, 256), "block5": (4, 4, 512)},
    "efficientnet_b0": {"block6": (4, 4, 112), "block7": (2, 2, 192)},
    "resnet50": {"conv4": (8, 8, 512), "conv5": (4, 4, 1024)},
}


@pytest.mark.parametrize("name", LAST_STAGES)
def test_the_last_stages_of_the_networks_are_listed_and_start_at_one_tensor(name: str) -> None:
    model = build_model(name, num_classes=2, image_size=64)
    assert {*LAST_STAGES[name], "logits"} <= set(_choices(model))
    for stage, shape in LAST_STAGES[name].items():
        cut = cut_before(model, stage)
        assert cut.tensor.shape[1:] == shape
        names = [layer.name for layer in cut.layers_before()]
        assert not any(layer.startswith(stage) for layer in names)


def test_the_last_stages_of_the_networks_are_those_of_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "train.md").read_text(encoding="utf-8")
    for name, (two, one) in LAST_STAGES.items():
        assert f"| `{name}` | `{one}` | `{two}` |" in page


def test_the_choices_of_a_network_of_blocks() -> None:
    assert _choices(build_model("resnet20", num_classes=2, image_size=16)) == [
        *("stage1", "stage1_block2", "stage1_block3", "stage2", "stage2_block2", "stage2_block3"),
        *("stage3", "stage3_block2", "stage3_block3", "logits"),
    ]
    assert _choices(_small_vit()) == ["transformer_block_1", "transformer_block_2", "logits"]


@pytest.mark.parametrize("stage", ["stage3", "stage2_block3", "stage3_block1_1_conv", "pooling"])
def test_both_parts_together_are_the_network(stage: str) -> None:
    model = build_model("resnet20", num_classes=2, image_size=16)
    images = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
    split = split_frozen(model, stage)
    np.testing.assert_allclose(split.head(split.body(images)), model(images), atol=1e-5)


def test_a_block_of_tokens_is_cut_although_its_sum_has_its_name() -> None:
    model = _small_vit()
    assert cut_before(model, "transformer_block_2").layer.name == "transformer_block_2_ln_1"
    images = np.random.default_rng(0).uniform(0, 1, (2, 32, 32, 3)).astype(np.float32)
    split = split_frozen(model, "transformer_block_2")
    np.testing.assert_allclose(split.head(split.body(images)), model(images), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("stage2_block1_2_conv", "more than the input of layer 'stage2_block1_2_conv'"),
        ("stage2_block1_add", "'stage2_block1_add' has 2 inputs"),
        ("stage", "no layer or stage 'stage'"),
        ("stage2_block", "no layer or stage 'stage2_block'"),
        ("stem_conv", "Nothing with weights comes before layer 'stem_conv'"),
    ],
)
def test_what_cannot_be_the_first_trained_layer_is_refused(name: str, message: str) -> None:
    model = build_model("resnet20", num_classes=2, image_size=16)
    with pytest.raises(ValueError, match=f"{message}.*Choose one of: stage1, stage1_block2, "):
        cut_before(model, name)


def test_a_path_around_a_nested_model_is_refused() -> None:
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Dense(4, name="one"), layers.Dense(4, name="two")]
    )
    inputs = keras.Input((3,))
    x = layers.Dense(4, name="first")(inputs)
    model = keras.Model(inputs, layers.Dense(2, name="last")(layers.Add()([inner(x), x])))
    with pytest.raises(ValueError, match="more than the input of layer 'two'.*of: last"):
        cut_before(model, "two")


def test_a_layer_that_both_parts_use_is_refused() -> None:
    inputs, twice = keras.Input((3,)), layers.Dense(3, name="twice")
    x = layers.Dense(3, name="middle")(twice(inputs))
    model = keras.Model(inputs, layers.Dense(3, name="last")(twice(x)))
    with pytest.raises(ValueError, match="'twice' is used both before and after 'middle'.*: last"):
        cut_before(model, "middle")
