"""A study: planned, run, and gone on with where it stopped."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from proxy_keras.io.atomic_files import write_text_atomically
from proxy_keras.io.progress import progress_bar
from tuner import job as jobs
from tuner.comparing.arms import Arm
from tuner.comparing.study_results import Results, check_conditions, fingerprint, row_of
from tuner.file_lock import FileLock, lock_folder
from tuner.job import Job, JobError

_ABOUT = "study.json"


@dataclasses.dataclass(frozen=True)
class Study:
    """Plan of a study, checked before training.

    Attributes:
        folder: Output folder.
        arms: Arms of the study.
        seeds: Seeds of the study.
        modules: The training module of each arm, by name.
    """

    folder: Path
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    modules: dict[str, str]

    def jobs(self) -> list[tuple[Arm, int, Job, str]]:
        """Return all runs, seed by seed, so that an interrupted study has complete seeds."""
        jobs = []
        for seed in self.seeds:
            for arm in self.arms:
                config, module = dataclasses.replace(arm.config, seed=seed), self.modules[arm.name]
                folder = self.folder / "runs" / arm.folder / f"seed-{seed}"
                jobs.append((arm, seed, Job(config, folder, module), fingerprint(config, module)))
        return jobs

    def missing(self, results: Results) -> list[tuple[Arm, int, Job, str]]:
        """Return the runs without results."""
        return [item for item in self.jobs() if not results.has(item[0].name, item[1], item[3])]

    @property
    def source(self) -> str:
        """The data source of all arms."""
        return self.arms[0].config.data.source

    def lock(self) -> FileLock:
        """Return the acquired lock of the folder.

        Raises:
            ValueError: Another study is running in the folder.
        """
        return lock_folder(self.folder / "study.lock", "study")


def run(study: Study, *, workers: int, quiet: bool) -> tuple[Results, list[str]]:
    """Run the missing runs of a study.

    Args:
        study: The plan.
        workers: Number of parallel runs.
        quiet: Show no progress bar.

    Returns:
        The results, and a message for each failure.

    Raises:
        ValueError: The runs were not trained under equal conditions, or the folder has runs with
            other settings or data.
    """
    study.folder.mkdir(parents=True, exist_ok=True)
    results = Results(study.folder)
    for message in results.messages:
        print(message, file=sys.stderr)
    names = [arm.name for arm in study.arms]
    planned, missing = study.jobs(), study.missing(results)
    _check_settings(results, planned)
    _check_same_source(study, results)
    if missing:
        text = json.dumps({"source": study.source}, indent=2) + "\n"
        write_text_atomically(study.folder / _ABOUT, text)
    by_folder = {item[2].folder: item for item in missing}
    failures: list[str] = []
    with progress_bar(
        total=len(planned),
        initial=len(planned) - len(missing),
        unit="run",
        shown=not quiet,
    ) as bar:

        def report(job: Job, outcome: dict[str, Any] | JobError) -> None:
            arm, seed, _, settings = by_folder[job.folder]
            bar.update()
            try:
                if isinstance(outcome, JobError):
                    raise outcome
                row = row_of(arm.name, seed, job.folder, outcome, settings)
            except (JobError, ValueError) as error:
                failures.append(f"{arm.name}, seed {seed}: {error}")
                return
            results.add(row)
            check_conditions(results.of(names, study.seeds))
            if not quiet:
                bar.write(f"{arm.name}, seed {seed}: {row['test_accuracy']:.2%}", file=sys.stderr)

        jobs.run_all([item[2] for item in missing], workers=workers, report=report)
    return results, failures


def _check_settings(results: Results, planned: Sequence[tuple[Arm, int, Job, str]]) -> None:
    """Raise ValueError if results were made with other settings than the planned ones."""
    other = {
        arm.name: None
        for arm, seed, _, settings in planned
        if results.has_other(arm.name, seed, settings)
    }
    if other:
        raise ValueError(
            f"{results.path} has runs with other settings: {', '.join(other)}. Pass another --out, "
            "or move those rows out of the file, and their folders out of runs/."
        )


def _check_same_source(study: Study, results: Results) -> None:
    """Raise ValueError if results were made with data of the same name from another folder."""
    path = study.folder / _ABOUT
    if results.table.empty or not path.exists():
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))["source"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is damaged. Delete it if results.csv was made with these data."
        ) from error
    if before != study.source:
        raise ValueError(
            f"The runs in {study.folder} used the data {before!r}, but `--data` is "
            f"{study.source!r}. Pass another --out, or delete {path} if it is a copy of the same "
            "data."
        )


def check_folder(study: Study) -> None:
    """Check that the study fits what its folder holds, and that its data exist if needed.

    Raises:
        ValueError: It does not fit, or the data do not exist.
    """
    # The report of a finished study does not need its data.
    results = Results(study.folder)
    _check_settings(results, study.jobs())
    if study.missing(results):
        jobs.check_source(study.source)
