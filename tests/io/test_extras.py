"""A missing optional package is named together with the extra that installs it."""

from __future__ import annotations

import sys

import pytest

from proxy_keras.io.extras import MissingExtra, extra
from tests.commands import Commands

RUN = """
import runpy, sys
package, module = sys.argv[1:3]
del sys.argv[1:3]
for name in list(sys.modules):
    if name.partition(".")[0] == package:
        del sys.modules[name]
sys.modules[package] = None
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
TRAINED = ("--data", "digits", "--epochs", "1", "--out", "new")
SEARCHED = (*TRAINED, "--algorithm", "grid")


def test_the_message_names_the_package_and_the_extra(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "lime.lime_base", None)
    with pytest.raises(MissingExtra) as caught, extra("explain"):
        from lime.lime_base import LimeBase  # noqa: F401
    assert str(caught.value) == "`lime` needs `pip install proxy-attention-keras[explain]`"


def test_the_outermost_extra_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingExtra, match=r"`sklearn` .*\[evaluate\]"), extra("evaluate"):
        with extra("train"):
            import sklearn  # noqa: F401


@pytest.mark.parametrize("name", ["proxy_keras.absent", "json.absent"])
def test_no_extra_is_named_for_our_own_modules_and_python_s(name) -> None:
    with pytest.raises(ModuleNotFoundError) as caught, extra("train"):
        __import__(name)
    assert not isinstance(caught.value, MissingExtra)


def test_the_callback_asks_for_what_it_writes_with_before_training(monkeypatch, tmp_path) -> None:
    from proxy_keras.proxy.step_log import StepLog

    monkeypatch.setitem(sys.modules, "tensorboard", None)
    StepLog(None, tmp_path)
    with pytest.raises(MissingExtra, match=r"`tensorboard` .*\[train\]"):
        StepLog(tmp_path, None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    StepLog(None, None)
    with pytest.raises(MissingExtra, match=r"`matplotlib` .*\[train\]"):
        StepLog(None, tmp_path)


@pytest.mark.parametrize(
    ("package", "module", "options", "name"),
    [
        ("starlette", "proxy_keras.watch", ("run",), "train"),
        ("pandas", "tuner.aggregate", ("runs",), "tuner"),
        ("onnxruntime", "serve.predict", ("model.onnx", "image.png"), "serve"),
        ("fastapi", "serve.server", ("model.onnx",), "serve"),
        ("onnxruntime", "proxy_keras.cli", ("predict", "model.onnx", "image.png"), "serve"),
        ("sklearn", "proxy_keras.train", TRAINED, "train"),
        ("matplotlib", "proxy_keras.explain", ("run", "a.png", "--out", "new"), "explain"),
        ("jinja2", "proxy_keras.evaluate", ("run",), "evaluate"),
        ("keras_tuner", "tuner.search", SEARCHED, "tuner"),
        ("scipy", "tuner.study", TRAINED, "tuner"),
        ("onnx", "export", ("run", "--out", "a.onnx"), "export"),
        ("onnx", "proxy_keras.cli", ("export", "run", "--out", "a.onnx"), "export"),
    ],
)
def test_a_command_says_what_to_install(package, module, options, name, commands: Commands) -> None:
    done = commands.run("-c", RUN, package, module, *options)
    last = done.stderr.splitlines()[-1]
    wanted = f"error: `{package}` needs `pip install proxy-attention-keras[{name}]`"
    assert (done.returncode, last.partition(",")[0]) == (2, wanted), done.stderr
    assert "Traceback" not in done.stderr
