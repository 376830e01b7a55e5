"""HeatmapFilter: heat that two steps agree on, and images spared for heat on the object."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from proxy_keras import ProxyAttention
from proxy_keras.data import ImageData
from proxy_keras.proxy.heatmap_filter import HeatmapFilter
from proxy_keras.settings import ProxyConfig

RED = np.array([[[200, 40], [0, 0]]], np.uint8)
BLUE = np.array([[[100, 90], [0, 30]]], np.uint8)


@pytest.fixture(scope="module")
def data() -> ImageData:
    """40 images of 8 px with two classes; the object fills the left half."""
    draw = np.random.default_rng(0)
    boxes = np.tile([0, 0, 4, 8], (60, 1))
    return ImageData.from_arrays(
        draw.integers(0, 256, (60, 8, 8, 3), np.uint8),
        np.arange(60) % 2,
        boxes=boxes,
        progress=False,
    )


def at(*positions: int) -> np.ndarray:
    return np.array(positions, np.int64)


def test_agreed_heat_is_the_smaller_of_two_steps(data):
    heatmap_filter = HeatmapFilter(ProxyConfig(agree=True), data.train)
    maps, left = heatmap_filter(at(3, 5), np.concatenate([RED, BLUE]))
    assert left.tolist() == [True, True]
    maps, left = heatmap_filter(at(2, 3, 5), np.concatenate([RED, BLUE, RED]))
    assert left.tolist() == [True, False, False]
    both = [[100, 40], [0, 0]]
    assert maps[1].tolist() == both and maps[2].tolist() == both
    # Only the previous step counts, not the one before it.
    maps, left = heatmap_filter(at(2, 9), np.concatenate([BLUE, BLUE]))
    assert left.tolist() == [False, True] and maps[0].tolist() == both
    heatmap_filter.clear()
    assert heatmap_filter(at(2), RED)[1].tolist() == [True]


def test_the_heatmaps_of_the_previous_step_are_part_of_the_state(data):
    heatmap_filter = HeatmapFilter(ProxyConfig(agree=True), data.train)
    heatmap_filter(at(3, 5), np.concatenate([RED, BLUE]))
    other = HeatmapFilter(ProxyConfig(agree=True), data.train)
    other.set_state(heatmap_filter.get_state())
    maps, left = other(at(3), BLUE)
    assert left.tolist() == [False] and maps[0].tolist() == [[100, 40], [0, 0]]
    assert HeatmapFilter(ProxyConfig(), data.train).get_state() == {}


def test_images_whose_heat_lies_in_the_box_are_spared(data):
    heatmap_filter = HeatmapFilter(ProxyConfig(spare=0.7), data.train)
    inside, outside, half = np.zeros([3, 1, 8, 8], np.uint8)
    inside[0, 2:4, 1:3] = 255
    outside[0, 2:4, 5:7] = 255
    half[0, 2, 3:5] = 255
    maps = np.concatenate([inside, outside, half])
    counted, left = heatmap_filter(at(0, 1, 2), maps)
    assert left.tolist() == [True, False, False]
    np.testing.assert_array_equal(counted, maps)
    assert HeatmapFilter(ProxyConfig(spare=0.5), data.train)(at(2), half)[1].tolist() == [True]


def test_spare_needs_boxes():
    digits = ImageData.from_source("digits", progress=False)
    with pytest.raises(ValueError, match="`spare` needs data with object boxes"):
        ProxyAttention(digits.train, spare=0.5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"show_from": 1.5}, "`show_from` must be in"), ({"spare": 0.0}, "`spare` must be in")],
)
def test_values_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ProxyConfig(**settings)


def fitted(data: ImageData, epochs: int, **settings) -> tuple[ProxyAttention, list[float]]:
    keras.utils.set_random_seed(0)
    images = keras.Input((8, 8, 3))
    cells = keras.layers.Conv2D(8, 3, activation="relu", padding="same")(
        keras.layers.Rescaling(1 / 255)(images)
    )
    logits = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(cells))
    model = keras.Model(images, logits)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    proxy = ProxyAttention(
        data.train, method="layer_score_cam", select="all", subset=1.0, verbose=0, **settings
    )
    shown = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            store = data.train.store
            found = store.look_up(np.arange(len(data.train)))
            shown.append(float(np.mean(found.is_proxy)))

    model.fit(
        data.train.batches(16), epochs=epochs, verbose=0, shuffle=False, callbacks=[proxy, Watch()]
    )
    return proxy, shown


def test_the_show_probability_grows_evenly(data):
    proxy, shown = fitted(data, 5, schedule="p,4", show_from=0.0)
    assert proxy.steps[0].made > 30
    assert shown[0] == 0.0 and 0.0 < shown[1] < shown[3] < shown[4] == 1.0


def test_filtered_images_are_left_unchanged_and_counted(data):
    proxy, shown = fitted(data, 4, schedule="p,p,2", agree=True)
    first, second = proxy.steps
    assert first.left == first.chosen == len(data.train) and first.made == 0
    assert second.left == 0 and second.made > 0
    assert f"{first.left} left unchanged" in str(first) and shown[1] == 0.0 < shown[2]
    spared, _ = fitted(data, 2, schedule="p,1", spare=0.5)
    assert 0 < spared.steps[0].left < len(data.train)
    assert spared.steps[0].made == len(data.train) - spared.steps[0].left - spared.steps[0].blank
