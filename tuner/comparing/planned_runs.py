"""The runs of a study, and the order in which they can start."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tuner import job as jobs
from tuner.comparing.arms import Arm
from tuner.job import Job, JobError


@dataclasses.dataclass(frozen=True)
class PlannedRun:
    """A run of a study.

    Attributes:
        arm: Its arm.
        seed: Its seed.
        job: The training run.
        settings: Fingerprint of the settings.
        finding: The job that finds its cues in the network of another run; None: no such cues.
        source: The folder of that other run.
    """

    arm: Arm
    seed: int
    job: Job
    settings: str
    finding: Job | None = None
    source: Path | None = None

    def __str__(self) -> str:
        """Return the run in words."""
        return f"{self.arm.name}, seed {self.seed}"

    def training(self, found: dict[str, Any]) -> Job:
        """Return the training run, now that its cues are found: plain if none of them is ticked."""
        if found["ticked"]:
            return self.job
        return dataclasses.replace(
            self.job, config=dataclasses.replace(self.job.config, proxy=None)
        )


class RunQueue:
    """Jobs of a study that wait for others: a network, then its cues, then training without them.

    A network whose run has a result, but no folder any more, is trained again if its cues are
    needed.

    Args:
        planned: All runs of the study.
        missing: Those without a result.

    Attributes:
        first: The jobs that wait for nothing.
    """

    def __init__(self, planned: Sequence[PlannedRun], missing: Sequence[PlannedRun]) -> None:
        by_folder = {run.job.folder: run for run in planned}
        needed = {run.job.folder for run in missing}
        for run in missing:
            while run.finding is not None and run.source is not None and not _is_done(run.finding):
                run = by_folder[run.source]
                needed.add(run.job.folder)
        self._runs = {folder: run for folder, run in by_folder.items() if folder in needed}
        # By the folder of the job that is waited for.
        self._trainings: dict[Path, list[PlannedRun]] = {}
        self._findings: dict[Path, list[Job]] = {}
        self.first: list[Job] = []
        for run in self._runs.values():
            if run.finding is None or run.source is None:
                self.first.append(run.job)
                continue
            same = self._trainings.setdefault(run.finding.folder, [])
            same.append(run)
            if len(same) > 1:
                continue  # Runs with the same cues share one job that finds them.
            if _is_done(run.finding):
                self.first.append(run.finding)
            else:
                self._findings.setdefault(run.source, []).append(run.finding)

    def run_of(self, job: Job) -> PlannedRun | None:
        """Return the run that a job trains; None if it finds cues."""
        return self._runs.get(job.folder)

    def name_of(self, job: Job) -> str:
        """Return a job in words."""
        run = self.run_of(job)
        if run is not None:
            return str(run)
        return f"finding the cues of {self._trainings[job.folder][0]}"

    def after(self, job: Job, found: dict[str, Any]) -> list[Job]:
        """Return the jobs that waited for one that has ended, with its result."""
        if job.folder in self._runs:
            return self._findings.pop(job.folder, [])
        return [run.training(found) for run in self._trainings.pop(job.folder)]

    def lost(self, job: Job) -> list[PlannedRun]:
        """Return the runs that can never start because a job has failed."""
        if job.folder in self._runs:
            findings = self._findings.pop(job.folder, [])
            return [run for finding in findings for run in self.lost(finding)]
        runs = self._trainings.pop(job.folder)
        return runs + [later for run in runs for later in self.lost(run.job)]


def _is_done(job: Job) -> bool:
    """Return whether a job has its result; a damaged one is reported when the job is run."""
    with contextlib.suppress(JobError):
        return jobs.finished(job) is not None
    return False
