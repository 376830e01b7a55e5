"""Figures can be drawn with any names, and are not empty."""

import numpy as np
import pytest
from PIL import Image

from proxy_keras.io import figures

NAMES = ["$b_{$", "a_very_long_name_of_a_class", "c"]
UNUSUAL = "⌚"
"""A character of STIXGeneral, which comes with matplotlib, that the usual font lacks."""


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
    texts = [text.get_text() for text in sheet.axes[0].texts]
    assert texts[-3:] == ["original", "heatmap", "proxy"]
    assert texts[2] == "c\npred. c" and texts[1].startswith("a_very_long_n…\npred. ")


@pytest.mark.parametrize("k", [3, 60])
def test_confusion_matrix_and_curves_take_any_name(k):
    names = (NAMES * 20)[:k]
    figures.to_array(figures.confusion_matrix(np.eye(k, dtype=int), names, title="$x"))
    figure = figures.curves(
        [1, 2], {"a": [0, 1], "b": [1, 0]}, xlabel="x", ylabel="y", title="of $x_{", marks=[1]
    )
    assert len(np.unique(figures.to_array(figure))) > 10


def test_a_long_name_is_cut_and_a_wide_character_counts_twice():
    assert figures.truncate("a" * 14) == "a" * 14 and figures.truncate("a" * 15) == "a" * 13 + "…"
    assert figures.truncate("猫" * 7) == "猫" * 7 and figures.truncate("猫" * 8) == "猫" * 6 + "…"
    assert figures.truncate("$" * 3) == r"\$\$\$" and figures.truncate("") == ""


def test_a_sheet_keeps_both_ends_of_a_long_line():
    images = np.zeros((1, 8, 8, 3), np.uint8)
    sheet = figures.method_sheet(images, [images], [f"is cat\nsaid {'x' * 180} 90%"], ["grad_cam"])
    # Warnings are errors: everything fits the layout.
    figures.to_array(sheet)
    assert sheet.axes[0].get_xlabel() == f"is cat\nsaid {'x' * 12}…{'x' * 13} 90%"


def test_one_warning_names_characters_without_a_font(monkeypatch):
    monkeypatch.setattr(figures, "_reported", set())
    # From private-use planes, for which no font has glyphs.
    names = ["\U000f1234" * 3, "\U00101234\U000f1234", "c"]
    with pytest.warns(UserWarning, match="No installed font has \U000f1234 \U00101234:") as told:
        figures.to_array(figures.confusion_matrix(np.eye(3, dtype=int), names, title=names[0]))
    assert len(told) == 1
    figures.to_array(figures.confusion_matrix(np.eye(3, dtype=int), names, title=names[0]))


def test_other_warnings_of_drawing_are_kept():
    figure = figures.Figure(figsize=(1, 1), layout="constrained")
    figure.subplots().set_ylabel("x" * 500, rotation=0)
    with pytest.warns(UserWarning, match="constrained_layout not applied"):
        figures.to_array(figure)


def test_a_fallback_font_draws_missing_characters(monkeypatch):
    monkeypatch.setattr(figures, "FALLBACK_FONTS", ("STIXGeneral", "no such font"))
    figures._fallbacks.cache_clear()
    monkeypatch.setattr(figures, "_reported", set())
    names = [UNUSUAL] * 3
    try:
        figures.to_array(figures.confusion_matrix(np.eye(3, dtype=int), names, title=UNUSUAL))
    finally:
        figures._fallbacks.cache_clear()


def test_a_figure_that_is_drawn_once_is_the_file_that_matplotlib_saves(tmp_path):
    def make():
        return figures.confusion_matrix(np.arange(9).reshape(3, 3), ["a", "b", "c"], title="t")

    make().savefig(tmp_path / "saved.png")
    pixels = figures.to_array(make())
    figures.save_pixels(pixels, tmp_path / "drawn.png")
    for name in ("saved.png", "drawn.png"):
        with Image.open(tmp_path / name) as image:
            np.testing.assert_array_equal(np.asarray(image.convert("RGB")), pixels)
            assert image.info["dpi"] == pytest.approx((100, 100), rel=1e-3)
