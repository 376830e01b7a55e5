"""Run folders of trials: scores, damaged files, and archived runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from proxy_keras.settings import DataConfig, TrainConfig
from proxy_keras.training.checkpoint import Checkpoint
from tuner.file_lock import FileLock
from tuner.job import Job
from tuner.launcher import Launcher
from tuner.searching.trial_run import TrialRun, last_message, last_value

CONFIG = TrainConfig(DataConfig("digits"))


def finished(tmp_path: Path, *, value: str = "0.25", config: TrainConfig = CONFIG) -> Job:
    """Return a finished job."""
    job = Job(CONFIG, tmp_path / "0000", "no_such_module")
    job.folder.mkdir()
    config.save(job.settings)
    (job.folder / "history.csv").write_text(f"epoch,val_loss\n1,0.125\n2,{value}\n")
    (job.folder / "metrics.json").write_text("{}")
    return job


def write_checkpoint(folder: Path, epoch: int) -> Path:
    """Write a minimal checkpoint."""
    path = folder / "checkpoints" / f"epoch_{epoch:04d}"
    path.parent.mkdir(exist_ok=True)
    arrays = [np.zeros(2, np.float32)]
    Checkpoint(epoch, arrays, arrays, {}, {"best": 0.5}, {"maps": arrays[0]}).save(path)
    return path


@pytest.fixture
def run() -> Iterator[Callable[..., TrialRun]]:
    """Return a trial of a job."""
    with Launcher(1) as launcher:

        def make(job: Job, said: list[str] | None = None) -> TrialRun:
            trial = SimpleNamespace(trial_id="0")
            notify = [].append if said is None else said.append
            return TrialRun(trial, job, objective="val_loss", launcher=launcher, notify=notify)

        yield make


def test_the_last_epoch_counts_and_not_the_best(run, tmp_path: Path) -> None:
    job = finished(tmp_path)
    assert last_value(job.folder, "val_loss") == 0.25
    trial = run(job)
    assert trial.step() and trial.score() == 0.25


@pytest.mark.parametrize("value", ["nan", ""])
def test_a_training_that_has_diverged_is_a_failed_trial(run, value: str, tmp_path: Path) -> None:
    job = finished(tmp_path, value=value)
    trial = run(job)
    assert trial.step() and trial.score() is None
    assert last_message(job) == "training diverged: val_loss is nan"


@pytest.mark.parametrize(
    "history",
    [
        b"",
        b"epoch,val_loss\n",
        b"epoch\n1\n",
        b"epoch,val_loss\n1\n",
        b"epoch,val_loss\n1,x\n",
        b"\xff",
    ],
)
def test_an_unreadable_history_fails_its_trial_only(run, history: bytes, tmp_path: Path) -> None:
    job = finished(tmp_path)
    (job.folder / "history.csv").write_bytes(history)
    trial = run(job)
    assert trial.step() and trial.score() is None
    assert "history.csv must end with a number for val_loss" in last_message(job)


def test_an_absent_history_fails_its_trial_only(run, tmp_path: Path) -> None:
    job = finished(tmp_path)
    (job.folder / "history.csv").unlink()
    trial = run(job)
    assert trial.step() and trial.score() is None
    assert "history.csv" in last_message(job)


def test_a_training_with_other_settings_is_moved_aside(run, tmp_path: Path) -> None:
    job = finished(tmp_path, config=dataclasses.replace(CONFIG, lr=0.5))
    trial = run(job)
    assert not trial.step()
    trial.stop()
    assert (tmp_path / "0000.earlier-1" / "history.csv").exists()
    assert TrainConfig.load(tmp_path / "0000.earlier-1.json").lr == 0.5
    assert TrainConfig.load(job.settings) == CONFIG and not job.folder.exists()


@pytest.mark.parametrize("name", ["config.json", "metrics.json"])
def test_a_damaged_file_of_a_run_is_set_aside(run, name: str, tmp_path: Path) -> None:
    job = finished(tmp_path)
    (job.folder / name).write_text('{"seconds": 1')
    said: list[str] = []
    trial = run(job, said)
    trial.step()
    trial.stop()
    assert said == [f"{job.folder / name} is damaged and was renamed to {name}.damaged-1"]
    assert (job.folder / f"{name}.damaged-1").exists() and not (job.folder / name).exists()


@pytest.mark.parametrize("name", ["state.json", "weights.npz", "maps.npz"])
def test_a_damaged_checkpoint_is_set_aside_before_the_training_begins(
    run, name: str, tmp_path: Path
) -> None:
    job = finished(tmp_path)
    (job.folder / "metrics.json").unlink()
    old, new = (write_checkpoint(job.folder, epoch) for epoch in (1, 2))
    (new / name).write_bytes((new / name).read_bytes()[:5])
    said: list[str] = []
    trial = run(job, said)
    assert not trial.step()
    trial.stop()
    assert said == [f"{new} is damaged and was renamed to epoch_0002.damaged-1"]
    assert sorted(path.name for path in old.parent.iterdir()) == [old.name, f"{new.name}.damaged-1"]


def test_an_absent_file_is_a_damaged_checkpoint(run, tmp_path: Path) -> None:
    job = finished(tmp_path)
    (job.folder / "metrics.json").unlink()
    (write_checkpoint(job.folder, 1) / "state.json").unlink()
    said: list[str] = []
    trial = run(job, said)
    trial.step()
    trial.stop()
    assert len(said) == 1 and "epoch_0001 is damaged" in said[0]


def test_a_trial_waits_for_another_process_in_its_folder(run, tmp_path: Path) -> None:
    job = finished(tmp_path)
    said: list[str] = []
    trial = run(job, said)
    with FileLock(job.lock) as lock:
        lock.acquire(wait=True)
        assert not trial.step() and not trial.step()
    assert trial.step() and len(said) == 1 and "another process is training it" in said[0]


def test_the_message_of_a_process_that_said_nothing(tmp_path: Path) -> None:
    assert last_message(Job(CONFIG, tmp_path / "0001")) == "(it printed nothing)"
