"""kill -9 at any moment, then `--resume`: the same result as an uninterrupted run."""

import json
import random
import signal
import time

import numpy as np
import pandas as pd
import pytest

SEED = 20
EPOCHS = 12

# Runs the command with one function patched to kill the process on its n-th call.
KILL_INSIDE = """
import os, signal, sys
import proxy_keras.{module} as module
from proxy_keras.train import main
original, calls = module.{owner}.{name}, []
def deadly(self, *args, **kwargs):
    calls.append(1)
    if len(calls) == {call}:
        {before}
        os.kill(os.getpid(), signal.SIGKILL)
    return original(self, *args, **kwargs)
module.{owner}.{name} = deadly
sys.exit(main(sys.argv[1:]))
"""
IN_CHECKPOINT_WRITES = [
    KILL_INSIDE.format(
        module="training.checkpoint",
        owner="Checkpoint",
        name="save",
        call=call,
        before="args[0].mkdir(); (args[0] / 'weights.npz').write_bytes(b'half of it')",
    )
    for call in (1, 2)
]
IN_PROXY_STEP = KILL_INSIDE.format(
    module="proxy.proxy_step", owner="Explainer", name="logits_and_heatmaps", call=4, before="pass"
)


def _words(squares, out):
    return [
        *("--data", f"npz:{squares}", "--out", str(out), "--model", "small_cnn"),
        *("--epochs", str(EPOCHS), "--schedule", "1,p,1,p,8", "--batch-size", "48"),
        *("--select", "all", "--subset", "0.5", "--show", "0.5", "--threshold", "0.4"),
        *("--weight", "1", "--precision", "float32", "--seed", "5", "--head-epochs", "1"),
        *("--quiet", "--resume"),
    ]


def _start(commands, words, code=None):
    how = ["-m", "proxy_keras.train"] if code is None else ["-c", code]
    return commands.start(*how, *words)


def _finish(process):
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors


def _state(out):
    """Return all that must be identical: arrays by name, and values by name."""
    last = out / "checkpoints" / f"epoch_{EPOCHS:04d}"
    arrays = {}
    for name in ("weights", "optimizer", "proxies"):
        with np.load(last / f"{name}.npz") as file:
            arrays.update({f"{name}/{key}": file[key] for key in file.files})
    values = json.loads((last / "state.json").read_text())
    metrics = json.loads((out / "metrics.json").read_text())
    for name in ("seconds", "cpu_seconds", "fit_seconds"):
        del values[name], metrics[name]
    for step in [*values["proxy"]["steps"], *metrics["proxy_steps"]]:
        del step["seconds"]
    return arrays, values, metrics, (out / "history.csv").read_text()


def _kill_after_an_epoch(commands, words, out, delay_s):
    """Start the command, and kill it the given time after it completes an epoch."""
    history = out / "history.csv"
    before = history.stat().st_mtime_ns
    process = _start(commands, words)
    while history.stat().st_mtime_ns == before and process.poll() is None:
        time.sleep(0.01)
    time.sleep(delay_s)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it ended before it could be killed"


@pytest.mark.slow
def test_killed_runs_end_like_an_uninterrupted_one(commands, squares, tmp_path):
    uninterrupted, interrupted = tmp_path / "uninterrupted", tmp_path / "interrupted"
    reference = _start(commands, _words(squares, uninterrupted))
    words = _words(squares, interrupted)

    for code in (*IN_CHECKPOINT_WRITES, IN_PROXY_STEP):
        process = _start(commands, words, code)
        process.communicate(timeout=300)
        assert process.returncode == -signal.SIGKILL
    draw = random.Random(SEED)
    for _ in range(2):
        _kill_after_an_epoch(commands, words, interrupted, draw.uniform(0.0, 0.3))
    _finish(_start(commands, words))
    _finish(reference)

    arrays, values, metrics, history = _state(uninterrupted)
    arrays_2, values_2, metrics_2, history_2 = _state(interrupted)
    assert arrays.keys() == arrays_2.keys() and len(arrays["proxies/positions"]) > 10
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, arrays_2[name], err_msg=name)
    assert metrics["op_determinism"] == "on"
    assert values == values_2 and metrics == metrics_2 and history == history_2
    assert len(pd.read_csv(uninterrupted / "history.csv")) == EPOCHS
