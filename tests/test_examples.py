"""The examples run."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
from pathlib import Path

import keras
import mend_shortcut
import numpy as np
import own_model
import pytest
import transfer_learning
from PIL import Image

import proxy_keras
from export import __main__ as export_command
from proxy_keras.models import efficientnet_lite0_weights, freeze_backbone
from proxy_keras.ticking import command as cues_command
from tests.commands import Commands

ROOT = Path(__file__).resolve().parents[1]


def test_what_is_absent_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert transfer_learning.main(["--data", str(tmp_path / "none")]) == 2
    assert f"{tmp_path / 'none'}" in capsys.readouterr().err
    monkeypatch.setattr(efficientnet_lite0_weights, "_PACKAGE", "no_such_package")
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(10):
            image = Image.new("RGB", (64, 64), (number, number, len(name)))
            image.save(tmp_path / name / f"{number}.png")
    words = ["--data", str(tmp_path), "--image-size", "64"]
    assert transfer_learning.main(words) == 2
    assert "needs `pip install proxy-attention-keras[imagenet]`" in capsys.readouterr().err


@pytest.mark.slow
def test_transfer_learning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw = np.random.default_rng(0)
    for name, high in (("beagle", 100), ("dingo", 256)):
        (tmp_path / "dogs" / name).mkdir(parents=True)
        for number in range(12):
            pixels = draw.integers(0, high, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "dogs" / name / f"{number}.png")
    out = tmp_path / "out"
    words = ["--data", tmp_path / "dogs", "--image-size", "64", "--epochs", "2", "--out", out]
    assert transfer_learning.main([str(word) for word in words]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"among ImageNet's 1,000 classes: \d+\.\d%", printed)
    assert len(re.findall(r"test accuracy, trained .*: +\d+\.\d%", printed)) == 2
    assert "16 chosen" in printed
    command = next(line.strip() for line in printed.splitlines() if "python -m export" in line)
    given = export_command.build_parser().parse_args(shlex.split(command)[3:])
    model = keras.saving.load_model(given.model)
    assert json.loads(given.labels.read_text()) == ["beagle", "dingo"]
    assert [layer.name for layer in model.layers if layer.trainable_weights] == ["logits"]
    assert given.out == out / "model.onnx"


@pytest.mark.slow
def test_own_model_from_the_repository_s_root(commands: Commands, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    words = ("examples/own_model.py", "--epochs", "4", "--out", tmp_path)
    done = commands.run(*words, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"test accuracy, trained .*: +\d+\.\d%", done.stdout)) == 2
    with Image.open(tmp_path / "heatmaps.png") as picture:
        assert picture.width > picture.height

    # Going on, as the docstring of `save` says.
    data = proxy_keras.ImageData.from_dataset(
        own_model.my_stream(), image_size=own_model.IMAGE_SIZE, seed=0, progress=False
    )
    proxy = proxy_keras.ProxyAttention(data.train, schedule="every:3", verbose=0)
    proxies = dict(np.load(tmp_path / "proxies.npz"))
    proxy.set_state(proxies, json.loads((tmp_path / "proxies.json").read_text()))
    model = keras.saving.load_model(tmp_path / "model.keras")
    batches = data.train.batches(own_model.BATCH_SIZE)
    history = model.fit(
        batches, initial_epoch=4, epochs=5, callbacks=[proxy], shuffle=False, verbose=0
    )
    assert [step.epoch for step in proxy.steps] == [2]
    assert history.history["proxies"] == [proxy.steps[0].made] != [0]


GROUNDS = ("land", "water")


def some_waterbirds(waterbirds: Path, folder: Path, *, each: int) -> Path:
    """Links `each` images of every group and split, with their groups and boxes."""
    with (waterbirds / "groups.csv").open(newline="") as lines:
        groups = list(csv.DictReader(lines))
    counts: dict[tuple[str, str], int] = {}
    kept = []
    for row in groups:
        key = (row["file"].split("/")[0], row["group"])
        counts[key] = counts.get(key, 0) + 1
        if counts[key] <= each:
            kept.append(row)
            (folder / row["file"]).parent.mkdir(parents=True, exist_ok=True)
            (folder / row["file"]).symlink_to(waterbirds / row["file"])
    files = {row["file"] for row in kept}
    lines = ["file,group", *(f"{row['file']},{row['group']}" for row in kept)]
    (folder / "groups.csv").write_text("\n".join(lines) + "\n")
    header, *boxes = (waterbirds / "boxes.csv").read_text().splitlines()
    rows = [header, *(row for row in boxes if row.split(",")[0] in files)]
    (folder / "boxes.csv").write_text("\n".join(rows) + "\n")
    return folder


def mend(*words: object) -> int:
    return mend_shortcut.main([str(word) for word in words])


@pytest.mark.slow
def test_mending_by_boxes(
    tmp_path: Path, shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    waterbirds = some_waterbirds(shared_data / "waterbirds", tmp_path / "birds", each=12)
    out = tmp_path / "out"
    options = ("--image-size", 64, "--epochs", 2, "--object-share", 1, "--tick-outside", 0.9)
    assert mend("--data", waterbirds, *options, "--out", out) == 0
    printed = capsys.readouterr().out
    assert "The object is known in 48 of 48 training images." in printed
    head, *rows = printed.partition(" " * 28)[2].partition("\n\n")[0].splitlines()
    assert head.split() == ["plain", "mended", "random", "masks"]
    table = {
        row[:28].strip(): [float(x) for x in row[28:].replace("%", "").split()] for row in rows
    }
    kinds = [f"{bird} on {ground}" for bird in ("landbird", "waterbird") for ground in GROUNDS]
    expected = ["all images", "landbird", "waterbird", *kinds, "worst group"]
    assert list(table) == expected
    groups = np.array([table[kind] for kind in kinds])
    # Groups have the same size here.
    np.testing.assert_allclose(table["all images"], groups.mean(axis=0), atol=0.1)
    np.testing.assert_allclose(table["landbird"], groups[:2].mean(axis=0), atol=0.1)
    np.testing.assert_allclose(table["worst group"], groups.min(axis=0))
    plain, mended, control = table["worst group"]
    match = re.search(r"worst group is (\S+) points from plain training, and (\S+) from", printed)
    assert match is not None
    assert [float(x) for x in match.groups()] == pytest.approx(
        [mended - plain, mended - control], abs=0.11
    )
    assert (mended <= plain) == ("did not help" in printed)
    assert proxy_keras.Cues.load(out / "cues").ticked
    model = keras.saving.load_model(out / "mended.keras")
    assert [layer.name for layer in model.layers if layer.trainable_weights] == ["logits"]


def small_network(num_classes: int, image_size: int, last_stages: str | None) -> keras.Model:
    """Returns a network with stages, of which the last ones are trained."""
    image = keras.Input((image_size, image_size, 3))
    features = keras.layers.Rescaling(1 / 255)(image)
    for name in ("blocks_14", "blocks_15"):
        features = keras.layers.Conv2D(4, 3, strides=4, activation="relu", name=name)(features)
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    model = keras.Model(image, keras.layers.Dense(num_classes, name="logits")(pooled))
    freeze_backbone(model, before=last_stages)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


@pytest.mark.slow
def test_mending_by_hand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mend_shortcut, "transfer_model", small_network)
    draw = np.random.default_rng(0)
    for name, high in (("cat", 100), ("dog", 256)):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(12):
            pixels = draw.integers(0, high, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / name / f"{number}.png")
    out = tmp_path / "out"
    stages = ("--last-stages", "blocks_15")
    options = ("--image-size", 64, "--epochs", 2, "--action", "exchange", *stages)
    # No object is known, so the cues are to be ticked by hand.
    assert mend("--data", tmp_path / "pets", *options, "--out", out) == 0
    tick, going_on = capsys.readouterr().out.splitlines()[-2:]
    words = shlex.split(tick)
    assert words[:3] == ["python", "-m", "proxy_keras.cues"] and words[-1] == "--page"
    assert cues_command.main([*words[3:-1], "--tick", "1", "--quiet"]) == 0
    capsys.readouterr()
    assert mend(*shlex.split(going_on)[2:]) == 0
    printed = capsys.readouterr().out
    assert "Ticked: 1: " in printed
    assert re.search(r"^worst class( +\d+\.\d%){3}$", printed, re.MULTILINE)
    trained = [
        layer.name
        for layer in keras.saving.load_model(out / "mended.keras").layers
        if layer.trainable_weights
    ]
    assert trained == ["blocks_15", "logits"]

    shutil.rmtree(out / "plain_cues")
    assert mend(*shlex.split(going_on)[2:]) == 2
    assert "plain_cues" in capsys.readouterr().err
