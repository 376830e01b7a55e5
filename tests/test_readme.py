"""The README's code runs, and its command lines and option tables are those of the commands."""

import re
import shlex
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from export import __main__ as export_command
from proxy_keras import explain_files, train
from proxy_keras.attribution import names
from serve import predict_options, server

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SERVING = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")


def _blocks(language, page):
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)


@pytest.mark.slow
# Keras warns that it does not shuffle a tf.data.Dataset, which a reader will see too.
@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning")
def test_python_blocks_run_one_after_another(tmp_path, monkeypatch):
    draw = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(25):
            pixels = draw.integers(0, 256, (40, 50, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    blocks = _blocks("python", README)
    assert len(blocks) == 3
    names: dict = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert names["heatmaps"].shape[0] == 4 and names["enlarged"].shape == (4, 64, 64)
    assert 0.0 <= names["heatmaps"].min() and names["heatmaps"].max() <= 1.0


PARSERS = {
    "proxy_keras.train": train.build_parser,
    "proxy_keras.explain": explain_files.build_parser,
    "export": export_command.build_parser,
    "serve.predict": predict_options.build_parser,
    "serve.server": server.build_parser,
}


def test_the_python_of_export_runs(tmp_path, monkeypatch):
    images = keras.Input((16, 16, 3))
    cells = keras.layers.Conv2D(4, 3, activation="relu")(images)
    logits = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(cells))
    keras.Model(images, logits).save(tmp_path / "model.keras")
    monkeypatch.chdir(tmp_path)
    block = next(block for block in _blocks("python", SERVING) if "import export" in block)
    exec(compile(block, "serving.md", "exec"), {})
    assert (tmp_path / "photos.onnx").is_file()


def _commands():
    blocks = [*_blocks("bash", README), *_blocks("bash", SERVING)]
    lines = [line for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("python -m ")]


@pytest.mark.parametrize("line", _commands())
def test_command_lines_are_understood(line):
    words = shlex.split(line)
    given = PARSERS[words[2]]().parse_args(words[3:])
    assert vars(given)


def test_every_command_is_shown():
    assert {line.split()[2] for line in _commands()} == set(PARSERS)


def _section(page, heading):
    return page.split(f"## {heading}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("proxy_keras.train", _section(README, "From the command line")),
        ("proxy_keras.explain", _section(README, "Explain images")),
        ("export", _section(SERVING, "Export")),
        ("serve.predict", _section(SERVING, "Predict")),
        ("serve.server", _section(SERVING, "Serve")),
    ],
)
def test_option_tables_are_complete(command, text):
    documented = set(re.findall(r"`?(--[a-z][a-z-]+)", text))
    known = {o for action in PARSERS[command]()._actions for o in action.option_strings}
    assert documented - {"--data-binary"} == known - {"-h", "--help"}


def test_every_method_is_in_the_documentation():
    page = (Path(train.__file__).parents[1] / "docs" / "explanations.md").read_text("utf-8")
    for name in names():
        assert f"`{name}`" in page.split("## The methods")[1].split("## Checks")[0], name
    numbers = {34: "Thirty-four"}
    assert f"{numbers[len(names())]} methods" in README
