"""A forked training run gives the bits of one in a process of its own."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proxy_keras.settings import DataConfig, ProxyConfig, TrainConfig
from tuner import job as jobs
from tuner import launcher as launchers
from tuner.job import Job
from tuner.launcher import HAS_FORK_SERVER, Launcher


def _arrays(run: Path) -> dict[str, Any]:
    """Return all weights, the optimizer's state and the proxies after the last epoch."""
    (checkpoint,) = (run / "checkpoints").iterdir()
    arrays = {}
    for name in ("weights", "optimizer", "proxies"):
        with np.load(checkpoint / f"{name}.npz") as file:
            arrays |= {f"{name}/{key}": file[key] for key in file.files}
    return arrays


@pytest.mark.slow
@pytest.mark.skipif(not HAS_FORK_SERVER, reason="there is no fork server")
def test_it_gives_the_same_bits(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = ProxyConfig(schedule="p,1", method="grad_cam", select="all")
    data = DataConfig(f"npz:{squares}")
    config = TrainConfig(data, proxy, model="small_cnn", epochs=2, precision="float32")
    made = {}
    for kind in ("forked", "fresh"):
        monkeypatch.setattr(launchers, "HAS_FORK_SERVER", kind == "forked")
        job = Job(config, tmp_path / kind)
        with Launcher(2) as launcher:
            metrics = jobs.run(job, launcher, threading.Event())
        assert "note: " not in job.log.read_text()
        events = sorted(
            (file.parent.relative_to(job.folder), file.stat().st_size)
            for file in job.folder.glob("tensorboard/**/*tfevents*")
        )
        made[kind] = _arrays(job.folder), metrics["test"], metrics["val"], events
        assert metrics["fit_seconds"] > metrics["seconds"] > 0.0
    assert made["forked"][1:] == made["fresh"][1:] and len(made["fresh"][3]) >= 5
    forked, fresh = made["forked"][0], made["fresh"][0]
    assert forked.keys() == fresh.keys() and len(forked["proxies/positions"]) > 0
    for name, array in forked.items():
        np.testing.assert_array_equal(array, fresh[name], err_msg=name)
