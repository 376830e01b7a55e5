"""Figures: sheets of proxies and heatmaps, confusion matrices, curves."""

from __future__ import annotations

import functools
import re
import unicodedata
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.figure
import numpy as np
from matplotlib import colormaps, font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import imsave
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from proxy_keras.io.atomic_files import write_atomically

HEAT_COLOURS = "inferno"
FALLBACK_FONTS = (
    # Han, kana and hangul: Noto, and the fonts of Linux, macOS and Windows.
    *("Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans JP", "Noto Sans SC", "Noto Sans KR"),
    *("WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback", "Hiragino Sans"),
    *("Hiragino Sans GB", "PingFang SC", "Apple SD Gothic Neo", "Yu Gothic", "Microsoft YaHei"),
    *("Malgun Gothic", "Arial Unicode MS"),
    *("Noto Sans", "Noto Sans Devanagari", "Noto Sans Bengali", "Noto Sans Thai", "Nirmala UI"),
    # Outlined emoji: matplotlib cannot draw coloured ones.
    *("Noto Emoji", "Segoe UI Emoji", "Segoe UI Symbol", "Symbola"),
)
"""Fonts for characters that the default font lacks; only installed ones are used."""

_reported: set[str] = set()
"""Characters without a font that a warning has already named."""


class Figure(matplotlib.figure.Figure):
    """A figure that can write any script for which a font is installed.

    Characters without a font are named in one warning, where matplotlib warns every time.
    """

    def draw(self, renderer: Any) -> None:
        """Draw the figure; see `matplotlib.figure.Figure`."""
        for text in self.findobj(Text):
            if not text.get_text().isascii():
                family = text.get_fontfamily()
                text.set_fontfamily([*family, *(f for f in _fallbacks() if f not in family)])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            super().draw(renderer)
        missing = set()
        for one in caught:
            if found := re.match(r"Glyph (\d+) .*missing from font", str(one.message)):
                missing.add(chr(int(found[1])))
            else:
                warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
        # An SVG that keeps its text is drawn with the fonts of the viewer.
        if matplotlib.rcParams["svg.fonttype"] != "none":
            _report(missing)


@functools.cache
def _fallbacks() -> list[str]:
    known = set(font_manager.get_font_names())
    return [name for name in FALLBACK_FONTS if name in known]


def _report(missing: set[str]) -> None:
    if new := sorted(missing - _reported):
        _reported.update(new)
        warnings.warn(
            f"No installed font has {' '.join(new[:10])}{' …' if len(new) > 10 else ''}: figures "
            "show boxes instead. Install a font for them, such as Noto Sans CJK or Noto Emoji, "
            f"and delete fontlist-*.json in {matplotlib.get_cachedir()}.",
            stacklevel=3,
        )


def proxy_sheet(
    originals: NDArray[np.float32],
    heatmaps: NDArray[np.float32],
    proxies: NDArray[np.float32],
    labels: NDArray[np.int32],
    predicted: NDArray[np.int64],
    classes: Sequence[str],
    *,
    mask_name: str = "heatmap",
) -> Figure:
    """Draw a sheet with a column per image: original, heatmap over the original, proxy.

    Args:
        originals: [n, P, P, 3] in [0, 255].
        heatmaps: [n, P, P] in [0, 1].
        proxies: [n, P, P, 3] in [0, 255].
        labels: [n] class ids.
        predicted: [n] class ids predicted for the originals.
        classes: Names of the classes.
        mask_name: What the row of heatmaps is called.
    """
    n = len(originals)
    figure = Figure(figsize=(1.5 * n + 0.4, 5.2), dpi=100)
    # One axis for all pictures: each axis would take longer to draw than its picture. Inches.
    axis = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axis.set_axis_off()
    for column in range(n):
        left = 0.35 + 1.5 * column
        is_right = labels[column] == predicted[column]
        axis.text(
            left + 0.7,
            4.75,
            f"{truncate(classes[labels[column]])}\npred. {truncate(classes[predicted[column]])}",
            fontsize=8,
            color="black" if is_right else "firebrick",
            horizontalalignment="center",
        )
        original = to_pixels(originals[column])
        pictures = (original, overlay(original, heatmaps[column]), to_pixels(proxies[column]))
        for row, picture in enumerate(pictures):
            bottom = 3.25 - 1.55 * row
            axis.imshow(picture, extent=(left, left + 1.4, bottom, bottom + 1.4))
            axis.add_patch(Rectangle((left, bottom), 1.4, 1.4, fill=False, linewidth=0.8))
    for row, name in enumerate(("original", mask_name, "proxy")):
        axis.text(0.2, 3.95 - 1.55 * row, name, fontsize=9, rotation=90, va="center", ha="center")
    # Each picture has changed the limits.
    axis.set(xlim=(0.0, figure.get_figwidth()), ylim=(0.0, figure.get_figheight()))
    return figure


def overlay(
    image: NDArray[np.uint8], heatmap: NDArray[np.float32], *, alpha: float = 0.6
) -> NDArray[np.uint8]:
    """Blend the heatmap in colours over the image.

    Args:
        image: [H, W, 3] uint8.
        heatmap: [H, W] in [0, 1].
        alpha: Opacity of the colours, in [0, 1].

    Returns:
        [H, W, 3] uint8.
    """
    colours = colormaps[HEAT_COLOURS](heatmap)[..., :3] * 255.0
    return to_pixels(((1.0 - alpha) * image + alpha * colours).astype(np.float32))


def method_sheet(
    images: Sequence[NDArray[np.uint8]],
    overlays: Sequence[Sequence[NDArray[np.uint8]]],
    titles: Sequence[str],
    methods: Sequence[str],
) -> Figure:
    """Draw a sheet with a row per image: the image, then its heatmap by each method.

    Args:
        images: n images [H, W, 3] uint8 of any sizes.
        overlays: For each image an overlay of its size per method.
        titles: n texts under the images; long lines lose their middle.
        methods: Names of the methods.
    """
    rows, columns = len(images), 1 + len(methods)
    figure = Figure(figsize=(1.9 * columns + 0.2, 2.15 * rows + 0.3), dpi=100, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for row, (image, pictures) in enumerate(zip(images, overlays, strict=True)):
        for axis, picture in zip(axes[row], [image, *pictures], strict=True):
            axis.imshow(picture)
            axis.set_xticks([])
            axis.set_yticks([])
        lines = titles[row].split("\n")
        axes[row, 0].set_xlabel("\n".join(map(_truncate_middle, lines)), fontsize=7)
    for axis, name in zip(axes[0], ["image", *methods], strict=True):
        axis.set_title(name.replace("_", " "), fontsize=8)
    return figure


def confusion_matrix(counts: NDArray[np.int64], classes: Sequence[str], *, title: str) -> Figure:
    """Draw counts [K, K]; rows are true classes, columns are predicted ones."""
    k = len(classes)
    side = min(14.0, 2.5 + 0.42 * k)
    figure = Figure(figsize=(side + 0.8, side), dpi=100, layout="constrained")
    axis = figure.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    picture = axis.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    figure.colorbar(picture, ax=axis, label="share of the true class", shrink=0.8)
    step = max(1, k // 40)
    axis.set_xticks(range(0, k, step), [truncate(c) for c in classes[::step]], rotation=90)
    axis.set_yticks(range(0, k, step), [truncate(c) for c in classes[::step]])
    axis.tick_params(labelsize=8)
    axis.set(xlabel="predicted", ylabel="true", title=escape_dollars(title))
    if k <= 20:
        for row, column in np.argwhere(counts > 0):
            axis.text(
                column,
                row,
                str(counts[row, column]),
                ha="center",
                va="center",
                fontsize=8,
                color="white" if shares[row, column] > 0.5 else "black",
            )
    return figure


def curves(
    xs: Sequence[float],
    lines: dict[str, Sequence[float]],
    *,
    xlabel: str,
    ylabel: str,
    title: str,
    log_x: bool = False,
    marks: Sequence[float] = (),
) -> Figure:
    """Draw lines over a common x axis; `marks` are dashed vertical lines."""
    figure = Figure(figsize=(6.4, 4.0), dpi=100, layout="constrained")
    axis = figure.subplots()
    for name, ys in lines.items():
        axis.plot(xs, ys, label=name)
    for mark in marks:
        axis.axvline(mark, color="grey", linestyle="--", linewidth=0.8)
    if log_x:
        axis.set_xscale("log")
    else:
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set(xlabel=xlabel, ylabel=ylabel, title=escape_dollars(title))
    axis.grid(alpha=0.3)
    if len(lines) > 1:
        axis.legend()
    return figure


def to_array(figure: matplotlib.figure.Figure) -> NDArray[np.uint8]:
    """Render the figure to pixels: [H, W, 3] uint8."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def save_pixels(pixels: NDArray[np.uint8], path: Path) -> None:
    """Write pixels [H, W, 3] that `to_array` returned as a PNG file, without drawing them again."""
    write_atomically(path, functools.partial(imsave, arr=pixels, format="png"))


def to_pixels(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Round to uint8 values in [0, 255]."""
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def truncate(name: str, length: int = 14) -> str:
    """Cut off the end of a name longer than `length`; a wide character counts twice."""
    widths = _widths(name)
    if widths.sum() <= length:
        return escape_dollars(name)
    return escape_dollars(name[: int((widths.cumsum() < length).sum())] + "…")


def _truncate_middle(line: str, length: int = 36) -> str:
    """Cut out the middle of a line longer than `length`; a wide character counts twice."""
    widths = _widths(line)
    if widths.sum() <= length:
        return escape_dollars(line)
    head = int((widths.cumsum() < length / 2).sum())
    tail = int((widths[::-1].cumsum() < length / 2).sum())
    return escape_dollars(f"{line[:head]}…{line[len(line) - tail :]}")


def _widths(text: str) -> NDArray[np.int64]:
    return np.array([1 + (unicodedata.east_asian_width(one) in "WF") for one in text], np.int64)


def escape_dollars(text: str) -> str:
    """Escape dollar signs, between which matplotlib would typeset a formula."""
    return text.replace("$", r"\$")
