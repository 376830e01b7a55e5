"""Folders of images with any names go through training, evaluation and explanations."""

import csv
import json
import os

import numpy as np
import pytest
from PIL import Image

FAST = ("--image-size", 16, "--model", "small_cnn", "--precision", "float32", "--batch-size", 8)


@pytest.mark.slow
def test_names_that_are_not_utf8(commands, tmp_path):
    draw = np.random.default_rng(0)
    for label in (b"Mu\xf1oz", b"dog"):
        folder = tmp_path / "photos" / os.fsdecode(label)
        folder.mkdir(parents=True)
        for number in range(16):
            pixels = draw.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / os.fsdecode(b"ni\xf1o%d.png" % number), "PNG")
    (folder / os.fsdecode(b"caf\xe9.txt")).write_text("no image")
    run, report, maps = (tmp_path / name for name in ("run", "report", "maps"))
    done = commands.run(
        *("-m", "proxy_keras.train", "--data", tmp_path / "photos", "--out", run, *FAST),
        *("--epochs", 2, "--schedule", "p,1", "--select", "all", "--method", "grad_cam"),
    )
    assert done.returncode == 0, done.stderr
    assert "caf%E9.txt" in done.stdout
    assert json.loads((run / "labels.json").read_text()) == ["Mu%F1oz", "dog"]
    done = commands.run("-m", "proxy_keras.evaluate", run, "--heat-images", 4, "--out", report)
    assert done.returncode == 0, done.stderr
    with (report / "predictions.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert all("ni%F1o" in " ".join(map(str, row.values())) for row in rows) and rows
    images = tmp_path / "photos" / "dog"
    done = commands.run("-m", "proxy_keras.explain", run, images, "--out", maps)
    assert done.returncode == 0, done.stderr
    answers = json.loads((maps / "answers.json").read_text(encoding="utf-8"))
    assert len(answers) == 16
    assert answers[0]["image"].endswith("dog/ni%F1o0.png")
    for answer in answers:
        assert all((maps / name).is_file() for name in answer["overlays"].values())
