"""Two local workers, killed and resumed, equal two devices in one process."""

import json
import os
import signal
import socket
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.commands import environment

WORKER = Path(__file__).resolve().parents[1] / "distribution" / "worker.py"
EPOCHS = 2
# 97 images in batches of 32: the last batch of an epoch has one image, for two replicas.
OPTIONS = [
    *("--limit", "97", "--model", "small_cnn", "--epochs", str(EPOCHS), "--schedule", "p,1"),
    *("--batch-size", "32", "--select", "all", "--subset", "0.5", "--show", "0.5"),
    *("--threshold", "0.4", "--weight", "1", "--precision", "float32", "--seed", "5"),
    *("--quiet", "--resume"),
]
STEPS = 4


def _free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _start(commands, words, *, kill_at=0, worker=None, ports=()):
    variables = environment()
    if worker is not None:
        task = {"type": "worker", "index": worker}
        cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
        variables["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
    return commands.start(WORKER, kill_at, *words, env=variables)


def _reported(process):
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    (line,) = [line for line in out.splitlines() if line.startswith("told ")]
    return json.loads(line.removeprefix("told "))


def _workers(commands, words, kill_at=(0, 0)):
    ports = _free_ports(2)
    return [
        _start(commands, words, worker=number, ports=ports, kill_at=step)
        for number, step in enumerate(kill_at)
    ]


def _state(out):
    """Return all that must be identical: arrays by name, and values by name."""
    last = out / "checkpoints" / f"epoch_{EPOCHS:04d}"
    arrays = {}
    for name in ("weights", "optimizer", "proxies"):
        with np.load(last / f"{name}.npz") as file:
            arrays.update({f"{name}/{key}": file[key] for key in file.files})
    metrics = json.loads((out / "metrics.json").read_text())
    del metrics["seconds"], metrics["cpu_seconds"], metrics["fit_seconds"]
    for step in metrics["proxy_steps"]:
        del step["seconds"]
    return arrays, metrics, (out / "history.csv").read_text()


@pytest.mark.slow
def test_two_workers_end_like_two_mirrored_devices(commands, squares, tmp_path):
    words = [*OPTIONS, "--data", f"npz:{squares}", "--out"]
    mirrored, apart = tmp_path / "mirrored", tmp_path / "apart"
    one = _start(commands, [*words, mirrored, "--strategy", "mirrored", "--replicas", "2"])

    # A worker is lost in the second epoch: the other one reports it, and both start again.
    words = [*words, apart, "--strategy", "multi_worker"]
    chief, lost = _workers(commands, words, kill_at=(0, STEPS + 2))
    _, errors = chief.communicate(timeout=300)
    lost.communicate()
    assert (chief.returncode, lost.returncode) == (1, -signal.SIGKILL), errors
    assert "another worker has stopped" in errors and "--resume" in errors
    before = os.listdir(apart / "checkpoints")
    assert before == ["epoch_0001"]

    reported = [_reported(worker) for worker in _workers(commands, words)]

    assert reported[0] == reported[1] == _reported(one)
    arrays, metrics, history = _state(mirrored)
    arrays_2, metrics_2, history_2 = _state(apart)
    assert arrays.keys() == arrays_2.keys() and len(arrays["proxies/positions"]) > 10
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, arrays_2[name], err_msg=name)
    assert metrics == metrics_2 and history == history_2
    rows = pd.read_csv(apart / "history.csv")
    assert rows["epoch"].tolist() == [1, 2]
    # Validation on both devices equals the saved model on one.
    assert metrics["val"]["loss"] == pytest.approx(rows["val_loss"].iloc[-1], rel=1e-5)
    assert metrics["val"]["accuracy"] == pytest.approx(rows["val_accuracy"].iloc[-1])
