"""Overlays match those of training: the same enlargement, and nearly the same colours."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import serve.overlay
from proxy_keras.heatmaps.scaling import enlarge
from proxy_keras.io import figures
from serve.overlay import heat_colours, overlay


def test_exact_on_a_small_image():
    image = np.full((1, 2, 3), 100, np.uint8)
    heat = np.array([[0.0, 1.0]], np.float32)
    half = overlay(image, heat, alpha=0.5)
    # Half of 100, and half of the first or last colour: 0 0 4 and 252 255 164.
    assert half.tolist() == [[[50, 50, 52], [176, 178, 132]]]
    assert half.dtype == np.uint8
    assert image.tolist() == [[[100] * 3] * 2]


def test_alpha_goes_from_the_image_to_the_colours():
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    heat = np.random.default_rng(1).uniform(0, 1, (2, 3)).astype(np.float32)
    assert np.array_equal(overlay(image, heat, alpha=0.0), image)
    black = np.zeros_like(image)
    assert np.array_equal(overlay(image, heat, alpha=1.0), overlay(black, heat, alpha=1.0))


def test_colours_are_close_to_inferno():
    inferno = matplotlib.colormaps["inferno"](np.arange(256))[:, :3] * 255
    difference = np.abs(heat_colours().astype(float) - inferno)
    assert difference.max() < 7 and difference.mean() < 0.8
    assert heat_colours()[[0, 255]].tolist() == [[0, 0, 4], [252, 255, 164]]


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    cells=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    seed=st.integers(0, 999),
)
def test_enlarged_as_in_training(size, cells, seed):
    heat = np.random.default_rng(seed).uniform(0, 1, cells).astype(np.float32)
    shown = overlay(np.zeros((*size, 3), np.uint8), heat, alpha=1.0)
    large = enlarge(heat[np.newaxis], size).numpy()[0]
    levels = np.clip(np.rint(large[..., np.newaxis] * 255 + [-0.01, 0.01]), 0, 255).astype(int)
    low, high = (heat_colours()[levels[..., side]].astype(int) for side in (0, 1))
    # Near the midpoint between two colours, either is correct.
    assert ((shown == low) | (shown == high)).all()


def test_close_to_the_sheets_of_training():
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (31, 23, 3), np.uint8)
    heat = rng.uniform(0, 1, (4, 5)).astype(np.float32)
    theirs = figures.overlay(image, enlarge(heat[np.newaxis], (31, 23)).numpy()[0])
    assert np.abs(overlay(image, heat).astype(int) - theirs).max() <= 5


def test_strips_do_not_show(monkeypatch):
    rng = np.random.default_rng(4)
    image = rng.integers(0, 256, (30, 11, 3), np.uint8)
    heat = rng.uniform(0, 1, (4, 5)).astype(np.float32)
    whole = overlay(image, heat)
    for at_once in (1, 11, 40, 100):
        monkeypatch.setattr(serve.overlay, "_PIXELS_AT_ONCE", at_once)
        assert np.array_equal(overlay(image, heat), whole)


def test_heat_that_rounding_left_outside_is_clipped():
    image = np.zeros((1, 2, 3), np.uint8)
    shown = overlay(image, np.array([[-0.01, 1.01]], np.float32), alpha=1.0)
    assert shown.tolist() == [[[0, 0, 4], [252, 255, 164]]]


@pytest.mark.parametrize(
    ("image", "heat", "alpha", "message"),
    [
        ((4, 4), (2, 2), 0.5, r"\[4, 4\] and \[2, 2\]"),
        ((4, 4, 4), (2, 2), 0.5, r"\[4, 4, 4\]"),
        ((4, 4, 3), (1, 2, 2), 0.5, r"\[1, 2, 2\]"),
        ((4, 4, 3), (0, 2), 0.5, r"\[0, 2\]"),
        ((4, 4, 3), (2, 2), 1.5, "`alpha` must be in .* 1.5"),
    ],
)
def test_wrong_arguments_are_refused(image, heat, alpha, message):
    with pytest.raises(ValueError, match=message):
        overlay(np.zeros(image, np.uint8), np.zeros(heat, np.float32), alpha=alpha)
