"""Results come in the order of the files, including bad ones, with a bounded queue."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from serve import Model
from serve.files import ImageFile
from serve.stream import predict_files

SETTINGS = {"k": 2, "batch_size": 4, "workers": 3}


@pytest.fixture(scope="module")
def model(write_model):
    return Model(write_model(), device="cpu")


@pytest.fixture
def files(tmp_path):
    """Thirty grey images of increasing brightness, of which the seventh is damaged."""
    found = []
    for number in range(30):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (8, 8), (number * 8,) * 3).save(path)
        found.append(ImageFile(str(path), path.name))
    (tmp_path / "7.png").write_bytes(b"no image")
    return found


@pytest.mark.parametrize("batch_size", [1, 4, 7, 30, 64])
@pytest.mark.parametrize("workers", [1, 5])
def test_in_order_with_the_bad_one_in_its_place(model, files, batch_size, workers):
    results = list(predict_files(model, files, k=2, batch_size=batch_size, workers=workers))
    assert [result.file for result in results] == files
    for number, result in enumerate(results):
        if number == 7:
            assert result.error == "not an image of a known format"
            assert (result.predictions, result.logits, result.heatmap) == ((), None, None)
            continue
        assert result.error is None and result.overlay is None
        assert result.logits == pytest.approx(np.full(3, number * 8 / 255), abs=1e-6)
        assert [one.class_id for one in result.predictions] == [0, 1]
        assert result.heatmap.shape == (4, 4)


def test_all_bad_and_none_at_all(model, files):
    bad = [files[7], ImageFile("gone.png", "gone.png")] * 3
    results = list(predict_files(model, bad, **SETTINGS))
    assert [result.error for result in results] == [
        "not an image of a known format",
        "cannot be opened: No such file or directory",
    ] * 3
    assert list(predict_files(model, [], **SETTINGS)) == []


@pytest.mark.parametrize("has_finish", [False, True])
def test_few_files_wait_at_a_time(model, files, has_finish):
    asked = 0

    def endless():
        nonlocal asked
        while True:
            asked += 1
            yield files[asked % 5]

    stream = predict_files(
        model, endless(), **SETTINGS, finish=(lambda result: result) if has_finish else None
    )
    for taken in range(1, 200):
        next(stream)
        # Up to three batches decoded, and up to two answered plus the current one.
        assert asked - taken <= 6 * SETTINGS["batch_size"]
    stream.close()


def test_answers_are_finished_in_threads_and_bad_files_are_not(model, files):
    threads, seen = set(), []

    def finish(result):
        threads.add(threading.get_ident())
        seen.append(result.file)
        return replace(result, overlay=f"{result.file.name} done")

    results = list(predict_files(model, files, **SETTINGS, finish=finish))
    assert [result.file for result in results] == files
    assert threading.get_ident() not in threads
    assert set(seen) == set(files) - {files[7]}
    assert [r.overlay for r in results] == [
        None if file is files[7] else f"{file.name} done" for file in files
    ]


def test_an_error_in_a_thread_or_the_session_comes_out(model, files, monkeypatch):
    def finish(result):
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"):
        list(predict_files(model, files, **SETTINGS, finish=finish))

    def fail(images):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(model, "run", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        list(predict_files(model, files, **SETTINGS))


def test_leaving_early_ends_the_threads(model, files):
    before = set(threading.enumerate())
    stream = predict_files(model, files, **SETTINGS)
    next(stream)
    assert set(threading.enumerate()) - before
    stream.close()
    assert not set(threading.enumerate()) - before


def test_an_answer_that_is_not_finite_is_none(model, files, monkeypatch):
    real = model.run

    def run(images):
        answers = real(images)
        answers.logits[1] = np.nan
        return answers

    monkeypatch.setattr(model, "run", run)
    results = list(predict_files(model, files[:3], **SETTINGS))
    assert [bool(result.error) for result in results] == [False, True, False]
    assert "not finite" in results[1].error and results[1].logits is None
