"""Lays the tokens of a transformer out as a grid over the image."""

from __future__ import annotations

import math

import keras

from proxy_keras.graph import FlatClone

# Class, distillation and register tokens; more would rather be a misread grid.
_MOST_PREFIX_TOKENS = 8


def grid_shape(tokens: int | None, image: tuple[int | None, ...]) -> tuple[int, int] | None:
    """Rows and columns of the patches among `tokens`, or None if they fill no grid.

    Patches are square, so the grid has the image's proportions. What is left over are the class
    token and its like, which come first.

    Args:
        tokens: T, the length of the sequence.
        image: [B, H, W, C], the shape of the model's input.

    Returns:
        (rows, columns), the largest that fit, at least 2 cells and at most 8 tokens left over.
    """
    if tokens is None or len(image) != 4 or image[1] is None or image[2] is None:
        return None
    divisor = math.gcd(image[1], image[2])
    rows, columns = image[1] // divisor, image[2] // divisor
    factor = math.isqrt(tokens // (rows * columns))
    cells = factor * factor * rows * columns
    if cells < 2 or tokens - cells > _MOST_PREFIX_TOKENS:
        return None
    return factor * rows, factor * columns


def expose_grid(
    flat: FlatClone, tokens: keras.KerasTensor, grid: tuple[int, int], name: str
) -> keras.KerasTensor:
    """The patches of `tokens` as [B, rows, columns, D], through which the rest is rewired.

    Args:
        flat: The classifier, whose graph is changed: the same answers, by way of the grid.
        tokens: [B, T, D], a tensor of `flat`.
        grid: (rows, columns).
        name: Name that the grid gets in `flat`.

    Returns:
        A tensor of `flat`; the prefix tokens are on its frontier.
    """
    rows, columns = grid
    length, width = tokens.shape[1:]
    prefix = length - rows * columns
    layers = keras.layers
    # Named after the layer: names that Keras makes up can be those of layers in a loaded model.
    own = name.replace("/", ".")

    def part(suffix: str) -> dict[str, str]:
        return {"name": f"{own}_{suffix}", "dtype": "float32"}

    patches = layers.Cropping1D((prefix, 0), **part("patches"))(tokens) if prefix else tokens
    cells = layers.Reshape((rows, columns, width), **part("cells"))(patches)
    joined = layers.Reshape((rows * columns, width), **part("tokens"))(cells)
    if prefix:
        first = layers.Cropping1D((0, length - prefix), **part("prefix"))(tokens)
        joined = layers.Concatenate(axis=1, **part("joined"))([first, joined])
    flat.rewire(tokens, joined, {name: cells})
    return cells
