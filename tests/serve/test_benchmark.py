"""Throughput is measured after a warm-up, in the requested number of rounds."""

from __future__ import annotations

import pytest
from PIL import Image

from serve import Model
from serve.benchmark import measure
from serve.files import ImageFile


@pytest.fixture
def files(tmp_path):
    found = []
    for number in range(5):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (8, 8), "red").save(path)
        found.append(ImageFile(str(path), path.name))
    return found


def test_rounds_are_of_the_same_work_and_the_first_warms_up(write_model, files, monkeypatch):
    model = Model(write_model(), device="cpu")
    sizes: list[int] = []
    real = model.run

    def run(images):
        sizes.append(len(images))
        return real(images)

    monkeypatch.setattr(model, "run", run)
    result = measure(model, files, batch_size=3, workers=2, rounds=2)
    assert (result.images, result.skipped) == (24, 0)
    # In each round, eight batches by the whole pipeline and eight by the session only.
    assert sizes == [3] * 8 * 2 * 3
    for rates in (result.whole, result.decoding, result.session):
        assert len(rates) == 2 and min(rates) > 0


def test_bad_files_are_left_out_and_counted(write_model, files, tmp_path):
    (tmp_path / "1.png").write_bytes(b"")
    model = Model(write_model(), device="cpu")
    result = measure(model, files, batch_size=1, workers=1, rounds=1)
    assert (result.images, result.skipped) == (8, 1)
    with pytest.raises(ValueError, match="nothing to measure with"):
        measure(model, files[1:2], batch_size=1, workers=1, rounds=1)
