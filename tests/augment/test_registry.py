"""Augmentations by name: what each of them keeps to, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from proxy_keras import augment

PAGE = (Path(__file__).parents[2] / "docs" / "augmentations.md").read_text(encoding="utf-8")
N, SIZE, CLASSES = 5, 16, 3


NEEDED = {
    "curriculum": {"of": "sample_pairing", "epochs": 1},
    # The paper's shares need not sum to 1.
    "snapmix": {"sum_to_one": True},
}


def make(name: str, **options) -> augment.BatchLayer:
    return augment.get(name, **NEEDED.get(name, {}), **options)


def batch(n: int = N, size: int = SIZE, classes: int = CLASSES) -> tuple[tf.Tensor, tf.Tensor]:
    """Noise around 40 i in image i, and class i % classes."""
    draw = np.random.default_rng(0)
    images = 40.0 * np.arange(n)[:, None, None, None] + draw.uniform(0, 80, (n, size, size, 3))
    return tf.constant(images, tf.float32), tf.one_hot(np.arange(n) % classes, classes)


def heatmaps(n: int = N) -> tf.Tensor:
    return tf.constant(np.random.default_rng(1).uniform(size=(n, 4, 4)), tf.float32)


def seed(number: int = 1) -> tf.Tensor:
    return tf.constant([number, 0], tf.int64)


def call(layer, images, labels, key, maps=None, **options):
    if layer.needs_maps:
        options["heatmaps"] = heatmaps() if maps is None else maps
    if layer.needs_epoch:
        options["epoch"] = 3
    return layer(images, labels, key, **options)


@pytest.mark.parametrize("name", augment.names())
def test_labels_stay_shares_images_stay_in_range_and_the_seed_decides(name):
    images, labels = batch()
    # Whatever a layer does by default to some of the images, here it does to all.
    layer = make(name, probability=1.0)
    made, mixed = call(layer, images, labels, seed())
    assert made.shape == images.shape and made.dtype == mixed.dtype == tf.float32
    assert made.numpy().min() >= 0.0 and made.numpy().max() <= 255.0
    np.testing.assert_allclose(mixed.numpy().sum(axis=1), 1.0, atol=1e-5)
    assert mixed.numpy().min() >= 0.0
    again = call(make(name, probability=1.0), images, labels, seed())
    for one, other in zip((made, mixed), again, strict=True):
        np.testing.assert_array_equal(one, other)
    others = (call(layer, images, labels, seed(number)) for number in range(2, 8))
    if name != "label_smoothing":
        assert any(not np.array_equal(made, other[0]) for other in others)
    assert not (np.array_equal(made, images) and np.array_equal(mixed, labels))


@pytest.mark.parametrize("name", augment.names())
def test_it_works_in_tf_data_on_batches_of_any_size(name):
    images, labels = batch()
    layer = make(name)
    maps = heatmaps()
    batches = tf.data.Dataset.from_tensor_slices((images, labels, maps)).batch(N - 1)
    made = list(batches.map(lambda x, y, m: call(layer, x, y, seed(), maps=m)))
    assert [len(x) for x, _ in made] == [N - 1, 1]
    for (x, y), (own_x, own_y, own_maps) in zip(made, batches, strict=True):
        expected = call(layer, own_x, own_y, seed(), own_maps)
        for in_graph, eager in zip((x, y), expected, strict=True):
            np.testing.assert_allclose(in_graph, eager, atol=2e-3)


@pytest.mark.parametrize("name", augment.names())
def test_at_probability_or_strength_0_nothing_changes(name):
    images, labels = batch()
    for made in (
        call(make(name, probability=0.0), images, labels, seed()),
        call(make(name), images, labels, seed(), strength=0.0),
    ):
        np.testing.assert_array_equal(made[0], images)
        np.testing.assert_array_equal(made[1], labels)


@pytest.mark.parametrize("name", augment.names())
def test_its_configuration_is_all_of_it(name):
    images, labels = batch()
    layer = make(name, seed=3, probability=0.7)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    copy = keras.saving.deserialize_keras_object(config)
    assert type(copy) is type(layer) and (copy.seed, copy.probability) == (3, 0.7)
    for one, other in zip(
        call(layer, images, labels, seed()), call(copy, images, labels, seed()), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_of_each_image_its_probability_decides():
    images, labels = batch(n=400, size=2)
    layer = augment.get("sample_pairing", probability=0.25)
    made, _ = layer(images, labels, seed())
    changed = np.any(made != images, axis=(1, 2, 3))
    assert 0.15 < changed.mean() < 0.35
    whole, _ = augment.get("sample_pairing")(images, labels, seed())
    np.testing.assert_array_equal(made[changed], whole[changed])


def test_a_layer_without_a_seed_draws_the_next_of_its_own():
    images, labels = batch()
    one, other = augment.get("mixup", seed=1), augment.get("mixup", seed=1)
    first, second = one(images, labels), one(images, labels)
    assert not np.array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[0], other(images, labels)[0])


def test_cutmix_labels_are_the_pasted_area_to_a_row_of_pixels():
    images = tf.constant(np.full((5, 64, 64, 3), 40.0 * np.arange(5)[:, None, None, None]))
    images, labels = tf.cast(images, tf.float32), tf.eye(5)
    made, mixed = augment.get("cutmix")(images, labels, seed())
    for i in range(5):
        own = float(np.mean(made[i] == images[i]))
        assert abs(own - float(mixed[i, i])) < 4 / 64


def test_mixup_mixes_images_and_labels_with_one_weight():
    images, labels = batch(n=4, size=2, classes=4)
    made, mixed = augment.get("mixup", alpha=1.0)(images, labels, seed())
    expected = tf.einsum("bk,khwc->bhwc", mixed, images)
    np.testing.assert_allclose(made, expected, rtol=1e-5)


def test_several_in_turn_have_seeds_of_their_own():
    images, labels = batch()
    both = augment.InTurn([augment.get("mixup"), augment.get("mixup")])
    expected = (images, labels)
    for number in range(2):
        expected = augment.get("mixup")(*expected, tf.random.fold_in(seed(), number))
    for made, want in zip(both(images, labels, seed()), expected, strict=True):
        np.testing.assert_array_equal(made, want)


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("mixup:alpha=0.4", "mixup", {"alpha": 0.4}),
        (
            "random_erasing:area=(0.1, 0.2),fill=[1,2,3],ratio=(1,1)",
            "random_erasing",
            {"area": (0.1, 0.2), "fill": [1, 2, 3], "ratio": (1, 1)},
        ),
        ("random_erasing:fill=mean", "random_erasing", {"fill": "mean"}),
    ],
)
def test_the_command_line_names_options(text, name, options):
    images, labels = batch()
    parsed = augment.parse(text)(images, labels, seed())
    direct = augment.get(name, **options)(images, labels, seed())
    np.testing.assert_array_equal(parsed[0], direct[0])


def test_what_curriculum_does_not_have_is_of_the_augmentation_that_it_names():
    layer = augment.parse("curriculum:of=randaugment,magnitude=0.2,epochs=4,shape=step")
    assert (layer.of.magnitude, layer.epochs, layer.shape) == (0.2, 4, "step")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cutmux", "no augmentation 'cutmux'. There are: "),
        ("mixup:beta=1", "mixup has no option beta. It has: alpha, seed, probability"),
        ("mixup:alpha", "KEY=VALUE. Received: 'alpha'"),
        ("mixup:alpha=0", "`alpha` must be > 0. Received: 0"),
        ("mixup:probability=2", "`probability` must be in .0, 1.. Received: 2"),
        ("curriculum", "curriculum needs the name of an augmentation"),
        ("curriculum:of=mixup,beta=1", "mixup has no option beta"),
    ],
)
def test_what_is_not_known_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        augment.parse(text)


@pytest.mark.parametrize("name", augment.names())
def test_the_page_of_augmentations_tells_of_every_option(name):
    if name == "curriculum":
        told = PAGE.split("## Over the training")[1].split("\n## ")[0]
    else:
        told = re.search(rf"^\| `{name}` .*$", PAGE, re.MULTILINE)[0]
    options = set(make(name).get_config()) - {"name", "trainable", "seed", "of", "probability"}
    assert not [option for option in options if option not in told]


def test_maps_that_are_needed_must_be_given():
    layer = next(layer for layer in map(make, augment.names()) if layer.needs_maps)
    with pytest.raises(ValueError, match="needs `heatmaps`"):
        layer(*batch(), seed())
