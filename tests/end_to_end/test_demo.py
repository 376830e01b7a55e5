"""`python -m proxy_keras.demo`, with a few epochs: every step runs, and the table is true."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from proxy_keras import Cues, demo
from tests.commands import Commands


def read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_demo_tells_of_its_runs(
    commands: Commands,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(words: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        done = commands.run(*words[1:])
        assert done.returncode == 0, done.stderr
        return done

    short = demo.COMMON.replace("--epochs 20", "--epochs 2 --limit 300").replace(
        "resnet20", "small_cnn"
    )
    monkeypatch.setattr(demo, "COMMON", short)
    monkeypatch.setattr(subprocess, "run", run)
    out = tmp_path / "demo"
    assert demo.main(["--out", str(out)]) == 0
    printed = capsys.readouterr().out

    cues = Cues.load(out / "plain" / "cues")
    assert cues.ticked and 0 < cues.images.has_object.mean() < 0.2
    for name, control in (("mended", None), ("random_mask", "random_mask")):
        config = read(out / name / "config.json")["proxy"]
        assert config["cues"] == str(out / "plain" / "cues") and config["control"] == control
        metrics = read(out / name / "metrics.json")
        assert metrics["proxies_made"] > 0
        assert f"{metrics['val']['accuracy']:.1%}" in printed

    rows = re.findall(r"^(.{24}) +(\S+)% +(\S+)% +(?:(\S+)% +)?\S+$", printed, re.MULTILINE)
    assert [row[0].strip() for row in rows] == list(demo.ARMS.values())
    # ONNX Runtime answers as Keras does.
    assert [row[2] for row in rows[:2]] == [row[3] for row in rows[:2]] and rows[2][3] == ""

    answers = read(out / "plain_answers.json")["files"]
    marked = [answer for answer in answers if answer["ticked_share"] > demo.MAX_TICKED]
    assert f"{len(answers)} answers on test images, {len(marked)} rest" in printed
    right = sum(answer["top"][0]["class"] == answer["label"] for answer in marked)
    share = f"{right / len(marked):.0%}" if marked else "none"
    assert f"ticked: {share} of them are right" in printed
    assert list((out / "mended" / "sheets").glob("*.png"))
    assert (out / "plain" / "cues" / "cues.html").is_file()


def test_the_demo_ends_with_the_code_of_the_step_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[list[str]] = []

    def run(words: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        started.append(words)
        return subprocess.CompletedProcess(words, 2 if len(started) == 2 else 0)

    monkeypatch.setattr(subprocess, "run", run)
    assert demo.main(["--out", str(tmp_path)]) == 2
    assert [words[2] for words in started] == ["proxy_keras.train", "proxy_keras.cues"]
    assert "Traceback" not in capsys.readouterr().err
