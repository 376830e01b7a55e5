"""Serving needs only requirements-serve.txt: no TensorFlow and no onnx."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
START_S = 60.0


@pytest.fixture
def alone(tmp_path):
    """Runs Python in a new environment with only requirements-serve.txt installed."""
    venv.create(tmp_path / "venv", with_pip=True)
    scripts = "Scripts" if sys.platform == "win32" else "bin"
    python = str(tmp_path / "venv" / scripts / "python")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def start(*words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [python, *words],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(*words: str) -> str:
        with start(*words) as process:
            output, _ = process.communicate()
        assert process.returncode == 0, output
        return output

    wanted = ["-r", "requirements-serve.txt", "-c", "constraints.txt"]
    run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted)
    return start, run


def green_png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (12, 9), (0, 255, 0)).save(file, "PNG")
    return file.getvalue()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(address: str, server: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(f"{address}/v2/health/ready", timeout=5) as answer:
                assert answer.status == 200
                return
        except (urllib.error.URLError, ConnectionError):
            has_ended = server.poll() is not None
            assert not has_ended and time.monotonic() < deadline, "the server did not get ready"
            time.sleep(0.1)


@pytest.mark.slow
def test_predicts_and_serves_without_tensorflow(alone, write_model, tmp_path):
    start, run = alone
    absent = ["tensorflow", "keras", "onnx", "matplotlib", "sklearn"]
    code = f"from importlib.util import find_spec; print([find_spec(n) for n in {absent}])"
    assert run("-c", code) == f"{[None] * len(absent)}\n"

    model = str(write_model(labels=["red", "green", "blue"]))
    picture = tmp_path / "picture.png"
    picture.write_bytes(green_png())
    out = tmp_path / "answers.json"
    words = ["-m", "serve.predict", model, str(picture), "--json", str(out)]
    run(*words, "--overlay", str(tmp_path / "overlays"))
    (file,) = json.loads(out.read_text("utf-8"))["files"]
    assert (file["class"], file["overlay"]) == ("green", str(tmp_path / "overlays/picture.png"))

    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with start("-m", "serve.server", model, "--port", str(port)) as server:
        try:
            wait_until_ready(address, server)
            request = urllib.request.Request(
                f"{address}/v1/predict",
                data=green_png(),
                headers={"Content-Type": "image/png"},
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                best = json.load(answer)["predictions"][0]
        finally:
            server.send_signal(signal.SIGTERM)
            output, _ = server.communicate(timeout=60)
    assert best == {
        "class": "green",
        "class_id": 1,
        "probability": pytest.approx(file["probability"]),
    }
    assert server.returncode == 0, output
