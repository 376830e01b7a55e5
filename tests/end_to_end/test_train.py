"""`python -m proxy_keras.train`: from data to a run folder, and its error messages."""

import errno
import json
import os
import re

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tqdm.auto import tqdm

from proxy_keras.io import full_disk, progress
from proxy_keras.train import main
from proxy_keras.training import checkpoint

COMMON = ["--model", "resnet20", "--batch-size", "48", "--precision", "float32"]


@pytest.fixture(scope="module")
def trained(run_command, squares, tmp_path_factory):
    """A finished run of four epochs, and the output of its command."""
    out = tmp_path_factory.mktemp("runs") / "run"
    done = run_command(
        *("-m", "proxy_keras.train", "--data", f"npz:{squares}", "--out", out, *COMMON),
        *("--epochs", 4, "--schedule", "1,p,2", "--select", "all", "--subset", 0.5, "--lr", 3e-3),
        *("--threshold", 0.5, "--weight", 1.0, "--seed", 1),
    )
    assert done.returncode == 0, done.stderr
    return out, done.stdout


@pytest.mark.slow
def test_run_folder_is_complete(trained):
    out, printed = trained
    names = {path.name for path in out.iterdir()}
    assert names == {
        *("config.json", "run.json", "split.csv", "split.sha256", "labels.json", "skipped.csv"),
        *("history.csv", "val_per_class.csv", "timing.csv", "metrics.json", "per_class.csv"),
        *("model.keras", "best.keras", "checkpoints", "selected", "tensorboard"),
        *("curves.png", "confusion.png", "sheets"),
    }
    assert json.loads((out / "run.json").read_text())["precision"] == "float32"
    history = pd.read_csv(out / "history.csv")
    assert history["epoch"].tolist() == [1, 2, 3, 4]
    assert history["proxy_chosen"].gt(0).tolist() == [False, True, False, False]
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["proxies_made"] == history["proxies"].iloc[-1]
    assert f"{metrics['test']['accuracy']:.1%} test" in printed
    assert str(out) in printed
    assert metrics["test"]["examples"] == 60


@pytest.mark.slow
def test_saved_model_gives_the_reported_accuracy(trained, squares):
    out, _ = trained
    model = keras.models.load_model(out / "model.keras")
    with np.load(squares) as arrays:
        answers = model.predict(arrays["x_test"].astype(np.float32), verbose=0).argmax(axis=1)
        accuracy = (answers == arrays["y_test"]).mean()
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] == pytest.approx(accuracy)
    assert json.loads((out / "labels.json").read_text()) == ["nw", "ne", "sw"]


@pytest.mark.slow
def test_transfer_with_measured_settings(trained, commands, squares, tmp_path):
    out, _ = trained
    done = commands.run(
        *("-m", "proxy_keras.train", "--data", f"npz:{squares}", "--out", tmp_path / "run"),
        *("--model", "resnet20", "--weights", out / "model.keras", "--freeze", "--epochs", 1),
        *("--batch-size", "auto", "--lr", "auto", "--no-proxy", "--precision", "float32"),
    )
    assert done.returncode == 0, done.stderr
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["head_epochs"] == 1 and config["batch_size"] >= 8 and 1e-6 < config["lr"] < 1.0
    assert (tmp_path / "run" / "lr_range_test.png").exists()
    before, after = (
        {layer.name: layer.get_weights() for layer in keras.models.load_model(path).layers}
        for path in (out / "model.keras", tmp_path / "run" / "model.keras")
    )
    moved = [
        name
        for name, weights in before.items()
        if not all(np.array_equal(a, b) for a, b in zip(weights, after[name], strict=True))
    ]
    assert moved == ["logits"]


def _snapshot(folder):
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.slow
def test_the_image_folder_is_unchanged_byte_for_byte(commands, squares, tmp_path):
    photos = tmp_path / "photos"
    with np.load(squares) as arrays:
        for number, (image, label) in enumerate(
            zip(arrays["x_train"][:60], arrays["y_train"][:60], strict=True)
        ):
            path = photos / str(arrays["classes"][label]) / f"proxy_{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    (photos / "ne" / "broken.jpg").write_bytes(b"\xff\xd8 not much of a picture")
    before = _snapshot(photos)
    words = ["-m", "proxy_keras.train", "--data", photos, "--image-size", 16, *COMMON]
    done = commands.run(
        *(*words, "--epochs", 2, "--schedule", "p,1", "--out", tmp_path / "run"),
        *("--select", "all", "--method", "faster_score_cam"),
    )
    assert done.returncode == 0, done.stderr
    assert _snapshot(photos) == before
    skipped = pd.read_csv(tmp_path / "run" / "skipped.csv")
    assert skipped["path"].tolist() == ["ne/broken.jpg"]
    assert "Skipped, see skipped.csv: 1: ne/broken.jpg (" in done.stdout
    strict = commands.run(*words, "--strict", "--out", tmp_path / "strict")
    assert strict.returncode == 2 and "broken.jpg" in strict.stderr
    assert not (tmp_path / "strict" / "config.json").exists()


@pytest.mark.slow
def test_finished_run_is_not_trained_again(trained, commands):
    out, _ = trained
    before = (out / "model.keras").stat().st_mtime_ns
    again = commands.run("-m", "proxy_keras.train", "--out", out)
    assert again.returncode == 2 and "already holds a run. Add --resume" in again.stderr
    resumed = commands.run("-m", "proxy_keras.train", "--out", out, "--resume")
    assert resumed.returncode == 0 and "% test" in resumed.stdout
    assert (out / "model.keras").stat().st_mtime_ns == before


@pytest.mark.slow
def test_resume_with_other_settings_is_refused(trained, capsys):
    out, _ = trained
    assert main(["--out", str(out), "--resume", "--threshold", "0.7", "--seed", "1"]) == 2
    assert "threshold was 0.5, now 0.7" in capsys.readouterr().err
    assert main(["--out", str(out), "--resume", "--split-seed", "3"]) == 2
    assert "data.seed was 0, now 3" in capsys.readouterr().err


def _message(capsys, tmp_path, *words, data="digits"):
    code = main(["--data", data, "--out", str(tmp_path / "run"), *words])
    assert code == 2
    assert not (tmp_path / "run" / "config.json").exists()
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--epochs", "10", "--schedule", "5,p,9"), "has 15 epochs .* but training has 10"),
        (("--threshold", "1.5"), r"`threshold` must be in \[0, 1\]. Received: 1.5"),
        (("--no-proxy", "--show", "0.5"), "plain training; leave out --show"),
        (("--epochs", "0"), "`epochs` must be >= 1"),
        (("--target-layer", "nowhere"), "nowhere"),
        (("--schedule", "plateau:3,monitor:loss_of_hair"), "must watch one of loss, accuracy"),
        (("--split-seed", "-1"), "`--split-seed` must be >= 0. Received: -1"),
        (("--weights", "missing.weights.h5"), "missing.weights.h5"),
        (("--model", "missing.keras"), "missing.keras does not exist"),
        (("--model", "resnet21"), "one of .*resnet20.*or a saved classifier, FILE.keras"),
        (("--model", "a.keras", "--weights", "imagenet"), "brings its weights: leave out"),
    ],
)
def test_bad_settings_exit_2_and_say_why(capsys, tmp_path, words, message):
    printed = _message(capsys, tmp_path, "--model", "resnet20", "--quiet", *words)
    assert re.search(message, printed), printed


@pytest.mark.parametrize("data", ["nosuchfolder", "npz:nosuch.npz", "tdfs:cifar100"])
def test_missing_data_exits_2_and_is_named(capsys, tmp_path, data):
    assert data.partition(":")[2] or data in _message(capsys, tmp_path, "--quiet", data=data)


def test_a_folder_that_is_not_empty_is_refused(capsys, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "precious.txt").write_text("keep")
    assert "is not empty" in _message(capsys, tmp_path)
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["precious.txt"]


def test_unknown_option_exits_2(tmp_path):
    with pytest.raises(SystemExit) as stop:
        main(["--data", "digits", "--out", str(tmp_path), "--treshold", "0.5"])
    assert stop.value.code == 2


@pytest.mark.slow
def test_quiet_training_shows_no_bars(monkeypatch, tmp_path):
    """Bars are drawn on terminals only, so what is asked of them is looked at."""
    bars = []
    monkeypatch.setattr(
        progress, "tqdm", lambda *iterables, disable, **_: bars.append(disable) or tqdm(*iterables)
    )
    words = ["--limit", "100", "--model", "small_cnn", "--epochs", "2", "--aug", "random_erasing"]
    words += ["--batch-size", "auto", "--lr", "auto", "--schedule", "p,1", "--quiet"]
    assert main(["--data", "digits", "--out", str(tmp_path / "run"), *words]) == 0
    assert len(bars) > 4 and all(bars)


@pytest.mark.slow
def test_a_full_disk_ends_a_run_that_can_be_resumed(monkeypatch, tmp_path, capsys):
    words = ["--data", "digits", "--limit", "100", "--model", "small_cnn", "--epochs", "3"]
    words += ["--schedule", "p,2", "--quiet", "--out", str(tmp_path / "run")]
    write, written = checkpoint.save_arrays, []

    def full(path, arrays):
        written.append(path)
        if len(written) == 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write(path, arrays)

    monkeypatch.setattr(checkpoint, "save_arrays", full)
    assert main(words) == full_disk.EXIT_CODE
    error = capsys.readouterr().err
    assert f"error: the disk is full: {written[-1]} could not be written." in error
    monkeypatch.undo()
    assert main([*words, "--resume"]) == 0
    assert pd.read_csv(tmp_path / "run" / "history.csv")["epoch"].tolist() == [1, 2, 3]
