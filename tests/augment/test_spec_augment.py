"""SpecAugment: bands of rows and columns."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_keras.augment import spec_augment

SEED = tf.constant([3, 0], tf.int64)


def test_bands_have_the_drawn_start_and_width(monkeypatch):
    drawn = iter([tf.constant([[2, 3]]), tf.constant([[0, 5]])])
    monkeypatch.setattr(spec_augment, "integers", lambda *_: next(drawn))
    made = spec_augment.bands(tf.constant(1), tf.constant(9), 0.5, 2, SEED)
    np.testing.assert_array_equal(made[0], np.array([1, 1, 0, 0, 0, 1, 1, 1, 0]) > 0)


@settings(max_examples=20, deadline=None)
@given(widest=st.sampled_from([0.0, 0.2, 0.5, 1.0]), number=st.integers(0, 99))
def test_a_band_is_contiguous_and_not_too_wide(widest, number):
    seed = tf.constant([number, 0], tf.int64)
    made = spec_augment.bands(tf.constant(20), tf.constant(10), widest, 1, seed).numpy()
    assert made.sum(axis=1).max() <= round(10 * widest)
    assert np.abs(np.diff(made.astype(int), axis=1)).sum(axis=1).max() <= 2


def test_frequencies_are_rows_and_times_are_columns():
    images = tf.ones([4, 10, 20, 3])
    rows, _ = spec_augment.SpecAugment(frequency=0.5, time=0.0, fill=0.0)(
        images, tf.ones([4, 1]), SEED
    )
    columns, _ = spec_augment.SpecAugment(frequency=0.0, time=0.5, fill=0.0)(
        images, tf.ones([4, 1]), SEED
    )
    assert np.all(rows == rows[:, :, :1]) and np.all(columns == columns[:, :1])
    assert np.any(rows == 0.0) and np.any(columns == 0.0)


def test_without_masks_nothing_changes():
    images = tf.ones([2, 10, 20, 3])
    made, _ = spec_augment.SpecAugment(masks=0)(images, tf.ones([2, 1]), SEED)
    np.testing.assert_array_equal(made, images)
