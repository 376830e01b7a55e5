"""Trains as one worker, tells what it ends with, and can end itself as a lost machine would.

    python worker.py KILL_AT OPTIONS...

KILL_AT: number of the training step at which the process kills itself; 0: never.
"""

import hashlib
import json
import os
import signal
import sys

import keras

from proxy_keras.train import main
from proxy_keras.training import run as runs

kill_at = int(sys.argv[1])
steps = []
original_step, original_train = keras.callbacks.CallbackList.on_train_batch_end, runs.train


def step(self, *args, **kwargs):
    steps.append(1)
    if len(steps) == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    return original_step(self, *args, **kwargs)


def train(run, **options):
    metrics = original_train(run, **options)
    arrays = [variable.numpy() for variable in run.model.variables]
    arrays += [run.data.train.store.get_state()[name] for name in sorted(_PROXIES)]
    told = {
        "weights_and_proxies": hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest(),
        "proxies": len(run.data.train.store),
        "accuracy": metrics["test"]["accuracy"],
    }
    print("told", json.dumps(told), flush=True)
    return metrics


_PROXIES = ("positions", "heatmaps", "thresholds", "born")
keras.callbacks.CallbackList.on_train_batch_end = step
runs.train = train
sys.exit(main(sys.argv[2:]))
