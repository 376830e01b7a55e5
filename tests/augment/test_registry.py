"""Augmentations by name: properties of all of them, and refused arguments."""

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
    # The paper's labels need not sum to 1.
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
def test_labels_are_shares_images_are_in_range_and_keyed_by_the_seed(name):
    images, labels = batch()
    # Some layers only change a part of the images by default.
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
def test_a_layer_is_rebuilt_from_its_configuration(name):
    images, labels = batch()
    layer = make(name, seed=3, probability=0.7)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    copy = keras.saving.deserialize_keras_object(config)
    assert type(copy) is type(layer) and (copy.seed, copy.probability) == (3, 0.7)
    for one, other in zip(
        call(layer, images, labels, seed()), call(copy, images, labels, seed()), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_probability_applies_per_image():
    images, labels = batch(n=400, size=2)
    layer = augment.get("sample_pairing", probability=0.25)
    made, _ = layer(images, labels, seed())
    changed = np.any(made != images, axis=(1, 2, 3))
    assert 0.15 < changed.mean() < 0.35
    whole, _ = augment.get("sample_pairing")(images, labels, seed())
    np.testing.assert_array_equal(made[changed], whole[changed])


def test_a_call_without_a_seed_draws_the_next_seed():
    images, labels = batch()
    one, other = augment.get("mixup", seed=1), augment.get("mixup", seed=1)
    first, second = one(images, labels), one(images, labels)
    assert not np.array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[0], other(images, labels)[0])


@pytest.mark.parametrize(("height", "width"), [(8, 8), (28, 28), (32, 20)])
def test_cutmix_labels_are_the_pasted_area(height, width):
    levels = tf.range(5.0)[:, None, None, None]
    images, labels = levels * tf.ones([5, height, width, 3]), tf.eye(5)
    layer = augment.get("cutmix")
    partial = 0
    for key in range(10):
        made, mixed = layer(images, labels, tf.constant([key, 0], tf.int64))
        for image, shares in zip(made.numpy(), mixed.numpy(), strict=True):
            areas = [np.mean(image == level) for level in range(5)]
            np.testing.assert_allclose(shares, areas, atol=1e-6)
            partial += max(areas) < 1
    assert partial > 20


def test_mixup_mixes_images_and_labels_with_one_weight():
    images, labels = batch(n=4, size=2, classes=4)
    made, mixed = augment.get("mixup", alpha=1.0)(images, labels, seed())
    expected = tf.einsum("bk,khwc->bhwc", mixed, images)
    np.testing.assert_allclose(made, expected, rtol=1e-5)


def test_composed_steps_have_different_seeds():
    images, labels = batch()
    both = augment.Compose([augment.get("mixup"), augment.get("mixup")])
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
def test_options_are_parsed_from_text(text, name, options):
    images, labels = batch()
    parsed = augment.parse(text)(images, labels, seed())
    direct = augment.get(name, **options)(images, labels, seed())
    np.testing.assert_array_equal(parsed[0], direct[0])


def test_unknown_options_of_curriculum_go_to_the_wrapped_augmentation():
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
def test_unknown_names_and_options_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        augment.parse(text)


@pytest.mark.parametrize("name", augment.names())
def test_the_documentation_lists_every_option(name):
    if name == "curriculum":
        described = PAGE.split("## Over the epochs")[1].split("\n## ")[0]
    else:
        described = re.search(rf"^\| `{name}` .*$", PAGE, re.MULTILINE)[0]
    options = set(make(name).get_config()) - {
        *("name", "trainable", "seed", "of", "probability", "value_range")
    }
    assert not [option for option in options if option not in described]


def test_missing_heatmaps_are_refused():
    layer = next(layer for layer in map(make, augment.names()) if layer.needs_maps)
    with pytest.raises(ValueError, match="needs `heatmaps`"):
        layer(*batch(), seed())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cutmix:alpha=x", "`alpha` must be > 0. Received: 'x'"),
        ("mixup:probability=x", r"`probability` must be in \[0, 1\]. Received: 'x'"),
        ("mixup:alpha=True", "`alpha` must be > 0. Received: True"),
        ("mixup:seed=-1", "`seed` must be a whole number >= 0. Received: -1"),
        ("cutmix:value_range=(1,1)", "`value_range` must be two numbers"),
        ("cutout:size=None", r"`size` must be in \[0, 1\]. Received: None"),
        ("grid_mask:degrees=x", r"`degrees` must be in \[0, 180\]. Received: 'x'"),
        ("grid_mask:unit=0.5", "`unit` must be .from, to. .*Received: 0.5"),
        ("random_erasing:area=0.2", "`area` must be .from, to. .*Received: 0.2"),
        ("random_erasing:fill=None", "`fill` must be a grey value .*Received: None"),
        ("hide_and_seek:cells=x", "`cells` must be whole numbers >= 1, such as .*Received: 'x'"),
        ("hide_and_seek:cells=(4.5,)", "`cells` must be a whole number >= 1. Received: 4.5"),
        ("puzzlemix:blocks=4", "`blocks` must be whole numbers >= 2, such as .*Received: 4"),
        ("puzzlemix:levels=1.5", "`levels` must be a whole number >= 1. Received: 1.5"),
        ("puzzlemix:transport=x", "`transport` must be True or False. Received: 'x'"),
        ("remix:class_counts=5", "`class_counts` must be numbers > 0, .*Received: 5"),
        ("comixup:members=2.5", "`members` must be a whole number >= 1. Received: 2.5"),
        ("attribute_mix:attributes=1.5", "`attributes` must be a whole number >= 1"),
        ("visual_context:places=0.5", "`places` must be a whole number >= 1. Received: 0.5"),
        ("curriculum:of=cutout,epochs=1.5", "`epochs` must be a whole number >= 1. Received: 1.5"),
        ("attentive_cutmix:grid=7.5", "`grid` must be a whole number >= 1. Received: 7.5"),
        ("snapmix:sum_to_one=x", "`sum_to_one` must be True or False. Received: 'x'"),
        ("manifold_mixup:layers=input", "`layers` must be names of layers, .*Received: 'input'"),
        ("cam_paste:scale_to=x", "`scale_to` must be a number >= 0.5. Received: 'x'"),
        ("mixup:alpha=1e999", "`alpha` must be > 0. Received: inf"),
    ],
)
def test_invalid_values_are_refused_with_a_message(text, message):
    with pytest.raises(ValueError, match=message):
        augment.parse(text)


def test_layers_draw_by_name_unless_they_have_a_seed():
    images, labels = batch(n=64, size=2)
    one, other = (augment.get("sample_pairing", probability=0.5) for _ in range(2))
    again = type(one)(probability=0.5, name=one.name)
    changed, others, same = (
        np.any(layer(images, labels)[0] != images, axis=(1, 2, 3)) for layer in (one, other, again)
    )
    np.testing.assert_array_equal(changed, same)
    assert 10 < np.sum(changed != others) < 54


@pytest.mark.parametrize("name", augment.names())
def test_value_range_does_not_change_the_result(name):
    images, labels = batch()
    whole, shares = call(make(name, probability=1.0), images, labels, seed())
    layer = make(name, probability=1.0, value_range=(-1.0, 1.0))
    made, same = call(layer, images / 127.5 - 1.0, labels, seed())
    # Rounding to whole numbers may differ for single pixels, but not for regions.
    assert np.mean(np.abs(127.5 * (made + 1.0) - whole) > 0.1) < 0.02
    np.testing.assert_allclose(same, shares, atol=1e-5)
    assert made.numpy().min() >= -1.0 and made.numpy().max() <= 1.0


def test_a_model_that_contains_a_layer_predicts_on_unchanged_images():
    images, labels = batch()
    inputs = keras.Input(images.shape[1:]), keras.Input(labels.shape[1:])
    model = keras.Model(inputs, augment.get("hide_and_seek", hide=1.0, fill=0)(*inputs))
    np.testing.assert_array_equal(model.predict([images, labels], verbose=0)[0], images)
    assert not np.any(model([images, labels], training=True)[0])


@pytest.mark.parametrize("name", augment.names())
def test_class_ids_are_refused(name):
    images, labels = batch()
    with pytest.raises(ValueError, match=r"needs labels \[B, K\], shares of the classes"):
        call(make(name), images, tf.argmax(labels, axis=1), seed())


@pytest.mark.parametrize("name", augment.names())
def test_keeps_images_and_keeps_labels_are_correct(name):
    images, labels = batch()
    layer = make(name, probability=1.0)
    # One hot cell, a small enough object for `visual_context`.
    maps = tf.pad(tf.ones([N, 1, 1]), [[0, 0], [1, 2], [2, 1]])
    made, mixed = call(layer, images, labels, seed(), maps)
    assert layer.keeps_images == np.array_equal(made, images)
    assert layer.keeps_labels == np.array_equal(mixed, labels)


def test_label_smoothing_may_precede_steps_that_need_heatmaps():
    images, labels = batch()
    smoothing, mixing = augment.get("label_smoothing"), augment.get("saliencymix")
    made, mixed = augment.Compose([smoothing, mixing])(images, labels, seed(), heatmaps=heatmaps())
    expected = mixing(images, labels, tf.random.fold_in(seed(), 1), heatmaps())
    np.testing.assert_array_equal(made, expected[0])
    np.testing.assert_allclose(mixed, smoothing(images, expected[1], seed())[1], atol=1e-6)
