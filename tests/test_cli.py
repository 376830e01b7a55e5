"""`proxy-keras COMMAND` runs what `python -m` runs, and starts without TensorFlow."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from proxy_keras.cli import COMMANDS
from tests.commands import Commands

ROOT = Path(__file__).resolve().parents[1]
START = "import sys; from proxy_keras.cli import main; sys.exit(main())"


def proxy_keras(*words: str, code: str = "pass") -> subprocess.CompletedProcess[str]:
    """Run `proxy-keras` as its script does, after some code."""
    command = [sys.executable, "-c", f"import sys; {code}; {START}", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_lists_every_command_without_tensorflow(option) -> None:
    blocked = "sys.modules.update(dict.fromkeys(['tensorflow', 'keras', 'numpy']))"
    done = proxy_keras(option, code=blocked)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    for name, command in COMMANDS.items():
        assert [name, *command.summary.split()] in lines


@pytest.mark.parametrize("words", [(), ("trains",)])
def test_without_a_command_it_says_how_it_is_used(words) -> None:
    done = proxy_keras(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: proxy-keras COMMAND")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_a_module(name) -> None:
    assert importlib.util.find_spec(COMMANDS[name].module) is not None


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_shows_its_own_usage(name, commands: Commands) -> None:
    done = commands.run("-c", START, name, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: proxy-keras {name} [-h]")


def test_arguments_and_exit_codes_pass_through(commands: Commands, tmp_path) -> None:
    done = commands.run("-c", START, "predict", str(tmp_path / "absent.onnx"), str(tmp_path))
    assert done.returncode == 2
    assert "absent.onnx" in done.stderr and "Traceback" not in done.stderr
    done = commands.run("-c", START, "aggregate", str(ROOT / "docs"), "--to", "csv")
    assert done.returncode == 2 and "TensorBoard event files" in done.stderr
