"""The whole command, from its arguments to files, scores and the exit code."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import serve
from proxy_keras.data.scan import scan_folder
from proxy_keras.data.split_draw import draw_split
from serve.overlay import overlay
from serve.predict import main

ROOT = Path(serve.__file__).resolve().parents[1]
RED, GREEN, BLUE = (200, 10, 10), (10, 200, 10), (10, 10, 200)


@pytest.fixture
def model(write_model):
    return str(write_model(labels=["red", "green", "blue"], metadata={"test_accuracy": "0.875"}))


@pytest.fixture
def root(tmp_path):
    """Seven images in three class folders, five of them with the colour of their class."""
    colours = {
        "red/1.png": RED,
        "red/2.jpg": RED,
        "red/3.png": GREEN,
        "green/1.png": GREEN,
        "green/2.png": RED,
        "blue/1.png": BLUE,
        "blue/deep/1.png": BLUE,
    }
    for number, (name, colour) in enumerate(colours.items()):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.new("RGB", (20 + number, 10), colour)
        picture.paste((255, 255, 255), (0, 0, 4, 4))
        picture.save(path)
    return tmp_path / "root"


def answers_of(path: Path) -> dict[str, str]:
    files = json.loads(path.read_text("utf-8"))["files"]
    return {file["path"]: file.get("class", file.get("error")) for file in files}


def test_scores_of_a_labelled_folder(model, root, tmp_path, capsys):
    out = tmp_path / "out"
    words = [model, str(root), "--json", str(out / "a.json"), "--csv", str(out / "a.csv")]
    words += ["--confusion", str(out / "c.csv"), "--overlay", str(out / "overlays")]
    assert main([*words, "--batch-size", "3", "--workers", "2"]) == 0
    screen = capsys.readouterr()
    assert (
        screen.err
        == "mean_colour: " + json.loads((out / "a.json").read_text())["device_note"] + "\n"
    )
    assert f"{root} is read as ROOT/CLASS/*, with 3 of the model's 3 classes" in screen.out
    assert "accuracy   71.43% (5 of 7)" in screen.out
    assert "test accuracy in the model's file: 87.50%" in screen.out

    saved = json.loads((out / "a.json").read_text("utf-8"))
    assert saved["scores"]["confusion"] == [[2, 1, 0], [1, 1, 0], [0, 0, 2]]
    assert saved["scores"]["accuracy"] == pytest.approx(5 / 7)
    assert (saved["answered"], saved["bad"], saved["device"]) == (7, 0, "cpu")
    assert saved["model"]["labels"] == ["red", "green", "blue"]
    with open(out / "c.csv", encoding="utf-8", newline="") as file:
        assert [row[1:] for row in csv.reader(file)][1:] == [
            ["2", "1", "0"],
            ["1", "1", "0"],
            ["0", "0", "2"],
        ]
    with open(out / "a.csv", encoding="utf-8", newline="") as file:
        rows = {Path(row["path"]).relative_to(root).as_posix(): row for row in csv.DictReader(file)}
    assert list(rows)[:2] == ["blue/1.png", "blue/deep/1.png"]
    assert (rows["red/3.png"]["label"], rows["red/3.png"]["class"]) == ("red", "green")

    session = serve.Model(model, device="cpu")
    heat = session.run(session.read(root / "red" / "1.png")[np.newaxis]).heatmaps[0]
    with Image.open(out / "overlays" / "red" / "1.png") as written:
        original = serve.images.read_image(root / "red" / "1.png")
        assert np.array_equal(np.asarray(written), overlay(original, heat))
    assert len(list((out / "overlays").rglob("*"))) == 7 + 4


def test_answers_that_rest_on_ticked_cues_are_marked_and_counted(write_model, tmp_path, capsys):
    for name, colour in {"a": (50, 150, 0), "b": (60, 30, 10), "c": (0, 0, 0)}.items():
        Image.new("RGB", (9, 9), colour).save(tmp_path / f"{name}.png")
    (tmp_path / "d.png").write_bytes(b"")
    file, out = str(write_model(ticked=(False, True, True))), tmp_path / "out"
    words = [file, str(tmp_path), "--max-ticked", "0.5", "--json", str(out / "a.json")]
    assert main([*words, "--csv", str(out / "a.csv"), "--top-k", "1"]) == 1
    screen = capsys.readouterr().out
    assert "marked: 1 of 3 answers; more than 50% of their evidence is on cues ticked" in screen
    lines = screen.splitlines()
    assert lines[0].split() == ["path", "class", "prob", "ticked"]
    assert lines[1].split()[-2:] == ["75.0%", "marked"] and lines[2].split()[-1] == "40.0%"

    saved = json.loads((out / "a.json").read_text("utf-8"))
    assert saved["marked"] == 1 and saved["answered"] == 3
    assert saved["model"]["cues"][1] == {"name": "2", "ticked": True, "description": "colour 2"}
    by_name = {Path(entry["path"]).stem: entry for entry in saved["files"]}
    assert by_name["a"]["cues"] == pytest.approx({"1": 0.25, "2": 0.75, "3": 0.0}, abs=1e-6)
    assert by_name["a"]["ticked_share"] == pytest.approx(0.75, abs=1e-6)
    assert [by_name[name].get("marked") for name in "abcd"] == [True, False, False, None]
    with open(out / "a.csv", encoding="utf-8", newline="") as opened:
        rows = {Path(row["path"]).stem: row for row in csv.DictReader(opened)}
    assert list(rows["a"])[4:] == [
        *("probability", "ticked_share", "cue_1", "cue_2", "cue_3", "marked", "overlay", "error")
    ]
    assert float(rows["b"]["ticked_share"]) == pytest.approx(0.4, abs=1e-6)
    assert float(rows["b"]["cue_1"]) == pytest.approx(0.6, abs=1e-6)
    assert [rows[name]["marked"] for name in "abcd"] == ["true", "false", "false", ""]
    assert (rows["d"]["cue_1"], rows["d"]["error"]) == ("", "empty file")


def test_without_a_limit_shares_are_written_and_nothing_is_marked(
    write_model, root, tmp_path, capsys
):
    file, out = str(write_model(ticked=(False, True, True))), tmp_path / "a.json"
    assert main([file, str(root / "blue"), "--json", str(out)]) == 0
    saved = json.loads(out.read_text("utf-8"))
    assert "marked" not in saved and "marked" not in saved["files"][0]
    assert saved["files"][0]["ticked_share"] > 0.5
    assert "marked" not in capsys.readouterr().out


def test_a_plain_file_is_answered_as_before(model, root, tmp_path, capsys):
    out = tmp_path / "out"
    words = [model, str(root / "blue"), "--json", str(out / "a.json"), "--csv"]
    assert main([*words, str(out / "a.csv")]) == 0
    written = (out / "a.json").read_text() + (out / "a.csv").read_text() + capsys.readouterr().out
    assert not any(word in written for word in ("cue", "ticked", "marked"))
    assert main([model, str(root), "--max-ticked", "0.5"]) == 2
    assert "--max-ticked needs a model with cues" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["1.5", "-0.1", "nan", "half"])
def test_a_limit_outside_its_range_is_refused(model, root, value, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([model, str(root), f"--max-ticked={value}"])
    assert stopped.value.code == 2
    assert f"must be a number in [0, 1]. Received: '{value}'" in capsys.readouterr().err


def test_bad_files_are_reported_and_the_rest_done(model, root, tmp_path, capsys):
    (root / "red" / "4.png").write_bytes(b"")
    (root / "red" / "5.png").symlink_to(root / "gone")
    out = tmp_path / "a.json"
    assert main([model, str(root), "--json", str(out)]) == 1
    screen = capsys.readouterr()
    assert f"bad file {root / 'red' / '4.png'}: empty file\n" in screen.err
    assert f"bad file {root / 'red' / '5.png'}: broken link\n" in screen.err
    assert "(5 of 7)" in screen.out and "bad files: 2" in screen.out
    saved = json.loads(out.read_text("utf-8"))
    assert (saved["answered"], saved["bad"]) == (7, 2)
    assert answers_of(out)[str(root / "red" / "4.png")] == "empty file"


def test_strict_makes_a_bad_file_an_error_and_writes_nothing(model, root, tmp_path, capsys):
    (root / "red" / "4.png").write_bytes(b"")
    out = tmp_path / "out"
    words = [model, str(root), "--strict", "--json", str(out / "a.json"), "--csv"]
    assert main([*words, str(out / "a.csv")]) == 2
    assert "4.png cannot be used: empty file. Remove it" in capsys.readouterr().err
    assert list(out.iterdir()) == []


def test_only_bad_files(model, tmp_path, capsys):
    (tmp_path / "red").mkdir()
    (tmp_path / "red" / "1.png").write_bytes(b"x")
    out = tmp_path / "a.json"
    assert main([model, str(tmp_path), "--json", str(out), "--labelled"]) == 1
    assert json.loads(out.read_text())["scores"] is None
    assert "accuracy" not in capsys.readouterr().out


def test_unlabelled_images_have_no_scores(model, root, tmp_path, capsys):
    out = tmp_path / "a.json"
    words = [model, str(root / "blue"), str(root / "red" / "*.png"), "--json", str(out)]
    assert main([*words, "--top-k", "2"]) == 0
    screen = capsys.readouterr().out
    assert "accuracy" not in screen
    lines = [line.split() for line in screen.splitlines()]
    assert lines[0] == ["path", "class", "prob", "others"]
    assert lines[1][:2] == [str(root / "blue" / "1.png"), "blue"] and len(lines[1]) == 5
    saved = json.loads(out.read_text())
    assert saved["scores"] is None and "label" not in saved["files"][0]
    assert [file["class"] for file in saved["files"]] == ["blue", "blue", "red", "green"]
    assert all(len(file["top"]) == 2 for file in saved["files"])


def test_quiet_leaves_the_result_only(model, root, capsys):
    assert main([model, str(root), "--quiet", "--no-labelled"]) == 0
    screen = capsys.readouterr()
    assert screen.err == ""
    (line,) = screen.out.splitlines()
    assert line.startswith("images answered: 7 in") and line.endswith("bad files: 0")


def test_the_held_out_images_of_a_run(root, write_model, tmp_path, capsys):
    rng = np.random.default_rng(0)
    for label in ("red", "green", "blue"):
        for number in range(10, 20):
            pixels = rng.integers(0, 256, (9, 9, 3), np.uint8)
            Image.fromarray(pixels).save(root / label / f"{number}.png")
    table = draw_split(scan_folder(root, progress=False).records, seed=1, test=0.4).table
    table.save(tmp_path / "run")
    path = write_model(labels=["red", "green", "blue"], metadata={"split_sha256": table.sha256})
    out = tmp_path / "a.json"
    words = [str(path), str(root), "--split", str(tmp_path / "run" / "split.csv")]
    assert main([*words, "--json", str(out), "--quiet"]) == 0
    model = serve.Model(path, device="cpu")
    rows = table.rows("test")
    images = np.stack([model.read(root / table.paths[row]) for row in rows])
    answered = [model.card.labels[at] for at in model.run(images).logits.argmax(axis=1)]
    right = np.array(answered) == np.array(table.labels)[rows]
    saved = json.loads(out.read_text())
    assert saved["scores"]["examples"] == len(rows) > 10
    assert saved["scores"]["accuracy"] == right.mean() > 0
    assert f"{len(rows)} images of {root} are in 'test'" in capsys.readouterr().out

    assert main([*words, "--json", str(out), "--quiet", "--subset", "val"]) == 0
    assert json.loads(out.read_text())["scores"]["examples"] == len(table.rows("val"))

    with open(tmp_path / "run" / "split.csv", "ab") as file:
        file.write(b"\n")
    assert main([*words, "--quiet"]) == 2
    assert "was not trained with the split" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{model}", "gone"], "error: 'gone' does not exist"),
        (["gone.onnx", "{root}"], "There is no file 'gone.onnx'"),
        (["{model}", "{root}", "--device", "cuda"], "The session did not get CUDA"),
        (["{model}", "{empty}"], "No images in"),
        (["{model}", "{root}/red", "--confusion", "c.csv"], "--confusion needs the true classes"),
        (["{model}", "{root}/red", "--labelled"], "No sub-folder of"),
        (["{model}", "{root}", "--overlay", "{root}"], "contains images to read"),
        (["{model}", "{root}", "--json", "{root}"], "is a folder. Give the name of a file"),
        (["{plain}", "{root}", "--overlay", "{root}/o"], "has no heatmaps"),
    ],
)
def test_what_cannot_be_done_is_one_message(
    model, root, tmp_path, write_model, monkeypatch, capsys, words, message
):
    monkeypatch.setattr("serve.session._why_no_cuda", lambda: "there is no NVIDIA driver")
    (tmp_path / "empty").mkdir()
    places = {"model": model, "root": root, "empty": tmp_path / "empty"}
    places["plain"] = write_model(explain="none")
    assert main([word.format(**places) for word in words]) == 2
    screen = capsys.readouterr()
    last = screen.err.splitlines()[-1]
    assert last.startswith("error: ") and message in last
    assert "prob" not in screen.out
    assert not (root / "o").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--top-k", "0"], "--top-k: must be a whole number >= 1. Received: '0'"),
        (["--batch-size", "x"], "--batch-size: must be a whole number >= 1. Received: 'x'"),
        (["--json", "a", "--csv", "./b/../a"], "--json, --csv must be different files"),
        (["--benchmark", "--overlay", "o"], "Omit --overlay"),
        (["--subset", "val"], "--split FILE"),
        (["--split", "s", "--labelled"], "Omit --labelled"),
    ],
)
def test_options_that_do_not_go_together(words, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["m.onnx", "photos", *words])
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "option", "kept"),
    [
        (["--json", "{0}/m.onnx"], "--json", "m.onnx"),
        (["--csv", "{0}/root/../link.onnx"], "--csv", "m.onnx"),
        (
            ["--confusion", "{0}/run/split.csv", "--split", "{0}/run"],
            "--confusion",
            "run/split.csv",
        ),
        (["--csv", "{0}/s.csv", "--split", "{0}/s.csv"], "--csv", "s.csv"),
    ],
)
def test_what_is_read_is_not_replaced(words, option, kept, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    for name in ("m.onnx", "run/split.csv", "s.csv"):
        (tmp_path / name).write_text("keep")
    (tmp_path / "root").mkdir()
    (tmp_path / "link.onnx").symlink_to(tmp_path / "m.onnx")
    with pytest.raises(SystemExit, match="2"):
        main([str(tmp_path / "m.onnx"), "root", *(word.format(tmp_path) for word in words)])
    last = capsys.readouterr().err.splitlines()[-1]
    assert f"error: {option} would replace '{tmp_path / kept}', which is an input" in last
    assert (tmp_path / kept).read_text() == "keep"


@pytest.mark.parametrize("option", ["--json", "--csv", "--confusion"])
@pytest.mark.parametrize("name", ["root/red/1.png", "link/red/1.png", "root/blue/linked.png"])
def test_no_image_that_is_read_is_replaced(model, root, tmp_path, capsys, option, name):
    (tmp_path / "link").symlink_to(root)
    (root / "blue" / "linked.png").symlink_to(root / "red" / "1.png")
    before = (root / "red" / "1.png").read_bytes()
    assert main([model, str(root), option, str(tmp_path / name)]) == 2
    screen = capsys.readouterr()
    assert screen.err.startswith(f"error: {option} would replace ") and screen.out == ""
    assert f"Give another file as {option}.\n" in screen.err and screen.err.count("\n") == 1
    assert (root / "red" / "1.png").read_bytes() == before
    assert (root / "blue" / "linked.png").is_symlink()


def test_a_file_beside_the_images_is_written(model, root):
    assert main([model, str(root), "--json", str(root / "red" / "answers.json")]) == 0
    assert len(answers_of(root / "red" / "answers.json")) == 7


def test_a_benchmark_prints_what_it_depends_on(model, root, capsys):
    (root / "red" / "4.png").write_bytes(b"")
    assert main([model, str(root), "--benchmark", "--batch-size", "2", "--workers", "1"]) == 0
    out = capsys.readouterr().out
    rates = {line[:16].strip(): line.split()[-3:] for line in out.splitlines() if "answers" in line}
    assert all(float(rate) > 0 for rate in rates["files to answers"])
    assert "5 rounds of 16 images, batches of 2, 1 decoding threads" in out
    assert "skipped: 1 files that are not usable images" in out
    assert "mean_colour, fp32, 8 x 8 pixels" in out and "ONNX Runtime 1." in out
    assert "path" not in out


def run(*words: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def test_as_a_command_it_is_free_of_tensorflow(model, root):
    code = (
        "import sys; from serve.predict import main; code = main(sys.argv[1:]); "
        "print(sorted({'tensorflow', 'keras', 'onnx', 'matplotlib', 'sklearn', 'scipy', 'pandas', "
        "'proxy_keras', 'fastapi'} & set(sys.modules))); sys.exit(code)"
    )
    done = run("-c", code, model, str(root))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    # Only the device note, nothing from ONNX Runtime.
    assert done.stderr.startswith("mean_colour: on the ") and done.stderr.count("\n") == 1


def test_help_tells_of_every_option():
    done = run("-m", "serve.predict", "--help")
    assert done.returncode == 0 and done.stderr == ""
    for word in ("--strict", "--split", "--no-labelled", "Exit code", "photos/**/*.jpg"):
        assert word in done.stdout


@pytest.mark.parametrize("copies", [0, 3000])
def test_a_reader_that_leaves_ends_it_quietly(model, root, copies):
    for number in range(copies):
        (root / "red" / f"copy {number}.png").hardlink_to(root / "red" / "1.png")
    words = [sys.executable, "-m", "serve.predict", model, str(root)]
    # Buffered, as in normal use; otherwise every line would fail immediately.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    with subprocess.Popen(
        words,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        if copies:
            assert process.stdout.readline().startswith(str(root))
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(timeout=30) == 2
    # Only the device note: no error, also not from the interpreter's last flush.
    assert errors.startswith("mean_colour: on the ") and errors.count("\n") == 1


def test_ctrl_c_ends_it_cleanly(model, root, tmp_path):
    for number in range(2000):
        (root / "red" / f"copy {number}.png").hardlink_to(root / "red" / "1.png")
    out = tmp_path / "out" / "a.json"
    # Ctrl-C comes while the file is being written.
    words = [sys.executable, "-m", "serve.predict", model, str(root), "--batch-size", "1"]
    words += ["--json", str(out), "--overlay", str(tmp_path / "overlays")]
    with subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 30
        while not (tmp_path / "overlays").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        errors = process.stderr.read()
        assert process.wait(timeout=30) == 130
    assert errors.splitlines()[-1].startswith("interrupted: only finished overlays")
    assert "Traceback" not in errors
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize("option", ["--json", "--csv"])
def test_answers_on_the_standard_output_can_be_parsed(option, model, root):
    words = [sys.executable, "-m", "serve.predict", model, str(root), option, "/dev/stdout"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    if option == "--json":
        assert len(json.loads(done.stdout)["files"]) == 7
    else:
        rows = list(csv.DictReader(done.stdout.splitlines()))
        assert len(rows) == 7 and {row["class"] for row in rows} == {"red", "green", "blue"}
    assert "images answered: 7" in done.stderr
