"""Pictures of cues: the outline of its cells, and the crop around one."""

from __future__ import annotations

import numpy as np
import pytest

from proxy_keras.cues.pictures import _window, outline


def test_an_outline_goes_around_the_cells() -> None:
    cells = np.array([[True, True], [False, False]])
    path = outline(cells)
    # Three sides of each of two cells; the one between them is left out.
    assert sorted(path.replace("M", "\nM").split()) == sorted(
        "M0 0h1 M1 0h1 M0 1h1 M1 1h1 M0 0v1 M2 0v1".split()
    )


@pytest.mark.parametrize(
    ("cell", "count", "start", "length"),
    # In the middle; at both edges, moved inside; a map with a single cell.
    [(5, 10, 4.0, 3.0), (0, 10, 0.0, 3.0), (9, 10, 7.0, 3.0), (0, 1, 0.0, 1.0), (1, 4, 0.75, 1.5)],
)
def test_a_crop_lies_inside_the_image(cell: int, count: int, start: float, length: float) -> None:
    assert _window(cell, count) == pytest.approx((start, length))
