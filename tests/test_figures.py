"""Pictures can be drawn of any names, and are not empty."""

import numpy as np
import pytest

from proxy_keras import figures

NAMES = ["$b_{$", "a_very_long_name_of_a_class", "c"]


def test_proxy_sheet_shows_its_images():
    originals = np.zeros((3, 8, 8, 3), np.float32)
    proxies = np.full((3, 8, 8, 3), [0.0, 255.0, 0.0], np.float32)
    sheet = figures.proxy_sheet(
        originals, np.zeros((3, 8, 8)), proxies, np.arange(3), np.array([0, 0, 2]), NAMES
    )
    pixels = figures.to_array(sheet)
    height = len(pixels)
    is_green = (pixels == [0, 255, 0]).all(axis=2)
    assert pixels.dtype == np.uint8 and pixels.shape[2] == 3
    assert is_green[2 * height // 3 :].mean() > 0.3 and not is_green[: height // 2].any()


@pytest.mark.parametrize("k", [3, 60])
def test_confusion_matrix_and_curves_take_any_name(k):
    names = (NAMES * 20)[:k]
    figures.to_array(figures.confusion_matrix(np.eye(k, dtype=int), names, title="$x"))
    figure = figures.curves(
        [1, 2], {"a": [0, 1], "b": [1, 0]}, xlabel="x", ylabel="y", title="of $x_{", marks=[1]
    )
    assert len(np.unique(figures.to_array(figure))) > 10
