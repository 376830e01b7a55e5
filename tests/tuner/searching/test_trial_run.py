"""What is read of a trial's run folder, and what of an earlier one is moved aside."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest

from proxy_keras.config import DataConfig, TrainConfig
from tuner.file_lock import FileLock
from tuner.job import Job
from tuner.searching.trial_run import TrialRun, last_message, last_value

CONFIG = TrainConfig(DataConfig("digits"))


def finished(tmp_path: Path, *, value: str = "0.25", config: TrainConfig = CONFIG) -> Job:
    """A job that is done."""
    job = Job(CONFIG, tmp_path / "0000", "no_such_module")
    job.folder.mkdir()
    config.save(job.settings)
    (job.folder / "history.csv").write_text(f"epoch,val_loss\n1,0.125\n2,{value}\n")
    (job.folder / "metrics.json").write_text("{}")
    return job


def run(job: Job, said: list[str] | None = None) -> TrialRun:
    """That job as a trial."""
    trial = SimpleNamespace(trial_id="0")
    say = [].append if said is None else said.append
    return TrialRun(trial, job, objective="val_loss", threads=1, say=say)


def test_the_last_epoch_counts_and_not_the_best(tmp_path: Path) -> None:
    job = finished(tmp_path)
    assert last_value(job.folder, "val_loss") == 0.25
    trial = run(job)
    assert trial.step() and trial.score() == 0.25


def test_a_training_that_has_diverged_is_a_failed_trial(tmp_path: Path) -> None:
    job = finished(tmp_path, value="nan")
    trial = run(job)
    assert trial.step() and trial.score() is None
    assert last_message(job) == "the training has diverged: its val_loss is nan"


def test_a_training_with_other_settings_is_moved_aside(tmp_path: Path) -> None:
    job = finished(tmp_path, config=dataclasses.replace(CONFIG, lr=0.5))
    trial = run(job)
    assert not trial.step()
    trial.stop()
    assert (tmp_path / "0000.earlier-1" / "history.csv").exists()
    assert TrainConfig.load(tmp_path / "0000.earlier-1.json").lr == 0.5
    assert TrainConfig.load(job.settings) == CONFIG and not job.folder.exists()


@pytest.mark.parametrize("name", ["config.json", "metrics.json"])
def test_a_damaged_file_of_a_run_is_set_aside(name: str, tmp_path: Path) -> None:
    job = finished(tmp_path)
    (job.folder / name).write_text('{"seconds": 1')
    said: list[str] = []
    trial = run(job, said)
    trial.step()
    trial.stop()
    assert said == [f"{job.folder / name} is damaged, and now {name}.damaged-1"]
    assert (job.folder / f"{name}.damaged-1").exists() and not (job.folder / name).exists()


def test_a_trial_waits_for_another_process_in_its_folder(tmp_path: Path) -> None:
    job = finished(tmp_path)
    said: list[str] = []
    trial = run(job, said)
    with FileLock(job.lock) as lock:
        lock.take(wait=True)
        assert not trial.step() and not trial.step()
    assert trial.step() and len(said) == 1 and "still trains it" in said[0]


def test_the_message_of_a_process_that_said_nothing(tmp_path: Path) -> None:
    assert last_message(Job(CONFIG, tmp_path / "0001")) == "(it printed nothing)"
