"""`--no-determinism`: it is off in the whole run, which says what it does not promise."""

import json

import pytest

from proxy_keras.train import resumed_config

# Prints whether operations were deterministic in the run.
WITH_STATE = """
import sys
from tensorflow.python.framework.config import is_op_determinism_enabled
from proxy_keras.train import main
code = main(sys.argv[1:])
print("deterministic:", is_op_determinism_enabled())
sys.exit(code)
"""
# Stops as Ctrl-C would, after the first epoch.
STOP = """
import sys
import proxy_keras.training.checkpoint as checkpoint
from proxy_keras.train import main
write = checkpoint.CheckpointFolder.add
def add(self, *args):
    write(self, *args)
    raise KeyboardInterrupt
checkpoint.CheckpointFolder.add = add
sys.exit(main(sys.argv[1:]))
"""


def _words(squares, out, *more):
    words = ["--data", f"npz:{squares}", "--model", "small_cnn", "--epochs", "2", "--no-proxy"]
    return [*words, "--precision", "float32", "--resume", "--out", str(out), *more]


@pytest.fixture(scope="module")
def stopped(squares, commands, tmp_path_factory):
    """Two runs without determinism, stopped after their first epoch."""
    outs = [tmp_path_factory.mktemp("stopped") / name for name in ("off", "mixed")]
    for out in outs:
        done = commands.run("-c", STOP, *_words(squares, out, "--no-determinism"))
        assert done.returncode == 130, done.stderr
    return outs


@pytest.mark.slow
def test_it_is_off_in_the_whole_run_and_a_resumed_one_says_so(stopped, squares, commands):
    out, _ = stopped
    done = commands.run("-c", WITH_STATE, *_words(squares, out, "--no-determinism"))
    assert done.returncode == 0, done.stderr
    assert "deterministic: False\n" in done.stdout
    assert "Resuming after epoch 1/2\nOp determinism is off: the weights will not" in done.stdout
    assert json.loads((out / "config.json").read_text())["determinism"] is False
    assert json.loads((out / "metrics.json").read_text())["op_determinism"] == "off"


@pytest.mark.slow
def test_it_can_change_when_a_run_is_resumed_and_is_recorded(stopped, squares, commands):
    _, out = stopped
    words = _words(squares, out)
    assert resumed_config(out, {}).determinism is False
    assert resumed_config(out, {"determinism": True}).determinism is True
    done = commands.run("-c", WITH_STATE, *words, "--determinism")
    assert done.returncode == 0, done.stderr
    assert "deterministic: True\n" in done.stdout
    assert "Op determinism was off so far and is on now: the weights will not" in done.stdout
    assert json.loads((out / "metrics.json").read_text())["op_determinism"] == "mixed"
