"""Arrangement of a transformer's tokens as a grid over the image."""

from __future__ import annotations

import math

import keras

from proxy_keras.graph import FlatClone

# Class, distillation and register tokens; more suggest a wrong grid.
_MOST_PREFIX_TOKENS = 8


def grid_shape(tokens: int | None, image: tuple[int | None, ...]) -> tuple[int, int] | None:
    """Return rows and columns of the patches among `tokens`, or None if they fill no grid.

    Patches are square, so the grid has the image's aspect ratio. The remaining tokens, such as the
    class token, come first.

    Args:
        tokens: T, the length of the sequence.
        image: [B, H, W, C], the shape of the model's input.

    Returns:
        (rows, columns), the largest that fit: at least 2 cells, at most 8 remaining tokens.
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
    """Return the patches of `tokens` as [B, rows, columns, D], after rewiring the graph through it.

    Args:
        flat: The classifier, rewired so that it computes the same outputs from the grid.
        tokens: [B, T, D], a tensor of `flat`.
        grid: (rows, columns).
        name: Name of the grid in `flat`.

    Returns:
        A tensor of `flat`; the prefix tokens are on its frontier.
    """
    rows, columns = grid
    length, width = tokens.shape[1:]
    prefix = length - rows * columns
    layers = keras.layers
    # Named after the layer: names that Keras generates can collide with those of a loaded model.
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
