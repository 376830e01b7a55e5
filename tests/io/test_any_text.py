"""What the standard output cannot encode is escaped, and no command fails for it."""

from __future__ import annotations

import importlib
import io
import os
import sys

import keras
import pytest

import export.__main__ as export_command
from proxy_keras import cli
from proxy_keras.io.any_text import allow_any_text
from tests.commands import ROOT
from tests.tuner.fake_runs import write_run
from tuner import aggregate, search


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("ascii", b"Mu\\xf1oz \\u732b \\udcff"),
        ("latin-1", b"Mu\xf1oz \\u732b \\udcff"),
        ("utf-8", "Muñoz 猫 \\udcff".encode()),
    ],
)
def test_text_is_escaped_as_far_as_necessary(encoding, expected, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding))
    allow_any_text()
    print("Muñoz 猫 \udcff", end="", flush=True)
    assert raw.getvalue() == expected


def test_another_object_as_output_is_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    allow_any_text()


# `predict` and `serve` stand alone; `demo` starts other commands.
@pytest.mark.parametrize("name", sorted(set(cli.COMMANDS) - {"demo", "predict", "serve"}))
def test_every_command_prints_any_text(name):
    module = importlib.import_module(cli.COMMANDS[name].module)
    assert "allow_any_text" in module.main.__code__.co_names
    assert "allow_any_text" in cli.main.__code__.co_names


def _printed(main, words, monkeypatch, **options) -> str:
    """Return what a command prints on a standard output that is ASCII."""
    raw = io.BytesIO()
    output = io.TextIOWrapper(raw, "ascii")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", output)
        assert main([*map(str, words)], **options) == 0
        output.flush()
    return raw.getvalue().decode("ascii")


def test_aggregate_prints_its_table(tmp_path, monkeypatch):
    write_run(tmp_path / "Muñoz")
    assert "Mu\\xf1oz" in _printed(aggregate.main, [tmp_path], monkeypatch)


# KerasTuner asks for its thread by methods of an earlier Python.
@pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:getName:DeprecationWarning")
def test_search_prints_its_results(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'tuner'}")
    space = tmp_path / "space.yaml"
    space.write_text("parameters: {threshold: {type: choice, values: [0.3, 0.6]}}")
    words = ["--algorithm", "grid", "--data", "digits", "--epochs", 2, "--schedule", "every:1"]
    words += ["--space", space, "--out", tmp_path / "Muñoz"]
    printed = _printed(search.main, words, monkeypatch, module="stub_training")
    assert "Mu\\xf1oz" in printed


def test_export_prints_what_it_wrote(tmp_path, monkeypatch):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3)(inputs))
    keras.Model(inputs, keras.layers.Dense(2)(x)).save(tmp_path / "m.keras")
    words = [tmp_path / "m.keras", "--out", tmp_path / "Muñoz.onnx"]
    assert "Mu\\xf1oz.onnx" in _printed(export_command.main, words, monkeypatch)
    assert (tmp_path / "Muñoz.onnx").is_file()
