"""Random Erasing and Cutout: the erased region and its fill."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_keras.augment import erasing
from proxy_keras.augment.stateless_random import split_seed, uniform

LABELS = tf.one_hot([0, 1], 2)
SEED = tf.constant([3, 0], tf.int64)


def test_boxes_are_those_of_algorithm_1():
    area, ratio, height, width = (0.02, 0.4), (0.3, 1 / 0.3), 20, 30
    boxes = erasing.random_boxes(tf.constant(50), height, width, area, ratio, SEED)
    shape = [50, erasing.ATTEMPTS]
    draws = [
        draw.numpy()
        for draw in (
            uniform(shape, split_seed(SEED, 4)[0], *area),
            uniform(shape, split_seed(SEED, 4)[1], *ratio),
            uniform(shape, split_seed(SEED, 4)[2]),
            uniform(shape, split_seed(SEED, 4)[3]),
        )
    ]
    for image, (top, left, high, wide) in enumerate(zip(*map(np.array, boxes), strict=True)):
        for attempt in range(erasing.ATTEMPTS):
            share, aspect, y, x = (draw[image, attempt] for draw in draws)
            h = np.round(np.sqrt(share * height * width * aspect))
            w = np.round(np.sqrt(share * height * width / aspect))
            y, x = np.floor(y * height), np.floor(x * width)
            if y + h <= height and x + w <= width:
                break
        assert (top, left, high, wide) == (y, x, h, w)


def test_nothing_is_erased_where_no_box_fits():
    box = erasing.random_boxes(tf.constant(1), 4, 4, (1.0, 1.0), (9.0, 9.0), SEED)
    assert float(box[2][0]) == 0.0


@settings(max_examples=20, deadline=None)
@given(area=st.tuples(st.floats(0.05, 0.2), st.floats(0.2, 0.5)), number=st.integers(0, 9))
def test_the_erased_area_is_in_its_range(area, number):
    layer = erasing.RandomErasing(probability=1.0, area=area, ratio=(0.5, 2.0), fill=0.0)
    made, labels = layer(tf.ones([2, 40, 40, 3]), LABELS, tf.constant([number, 0], tf.int64))
    erased = 1.0 - made.numpy().mean(axis=(1, 2, 3))
    # Sides are rounded to pixels.
    assert np.all((erased > area[0] - 0.03) & (erased < area[1] + 0.03))
    np.testing.assert_array_equal(labels, LABELS)


def test_by_default_half_of_the_images_get_noise():
    images = tf.fill([100, 16, 16, 3], -1.0)
    made, _ = erasing.RandomErasing()(images, tf.ones([100, 1]), SEED)
    erased = made.numpy() >= 0.0
    assert 35 < np.any(erased, axis=(1, 2, 3)).sum() < 65
    values = made.numpy()[erased]
    assert abs(values.mean() - 127.5) < 5 and values.max() <= 255.0


@pytest.mark.parametrize(
    ("centre", "rows", "columns"),
    [((4, 4), (2, 6), (2, 6)), ((0, 7), (0, 2), (5, 8)), ((7, 0), (5, 8), (0, 2))],
)
def test_cutout_erases_a_square_clipped_to_the_image(monkeypatch, centre, rows, columns):
    places = iter(centre)
    monkeypatch.setattr(erasing, "integers", lambda shape, *_: tf.fill(shape, next(places)))
    images = tf.ones([1, 8, 8, 3])
    made, _ = erasing.Cutout(size=0.5, fill=0.0)(images, LABELS[:1], SEED)
    expected = np.ones([8, 8])
    expected[slice(*rows), slice(*columns)] = 0.0
    np.testing.assert_array_equal(made[0, :, :, 0], expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"area": (0.4, 0.2)}, "`area` must be"),
        ({"ratio": (0.0, 1.0)}, "`ratio` must be"),
        ({"fill": "noise"}, "`fill` must be a grey value .* mean, random. Received: 'noise'"),
        ({"fill": (1, 2)}, "`fill` must be a grey value"),
        ({"fill": 300}, "`fill` must be a grey value"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        erasing.RandomErasing(**options)
