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
from proxy_keras.settings import ProxyConfig
from proxy_keras.training.run_folder import finished_metrics
from tuner import job as jobs
from tuner.comparing.arms import Arm, folder_name
from tuner.comparing.conditions import check_conditions
from tuner.comparing.cue_arms import check_cue_folders, source_arm
from tuner.comparing.planned_runs import PlannedRun, RunQueue
from tuner.comparing.study_results import Results, fingerprint, row_of
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
        finding: The module that finds cues in the network of another arm.
    """

    folder: Path
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    modules: dict[str, str]
    finding: str = "tuner.arm_cues"

    def runs(self) -> list[PlannedRun]:
        """Return all runs, seed by seed, so that an interrupted study has complete seeds."""
        return [self._run(arm, seed) for seed in self.seeds for arm in self.arms]

    def _run(self, arm: Arm, seed: int) -> PlannedRun:
        config, module = dataclasses.replace(arm.config, seed=seed), self.modules[arm.name]
        settings = fingerprint(config, module)
        job = Job(config, self._run_folder(arm, seed), module)
        given = source_arm(config)
        if given is None or config.proxy is None:
            return PlannedRun(arm, seed, job, settings)
        source = next(other for other in self.arms if other.name == given)
        finding = self._finding(config.proxy, source, seed)
        proxy = dataclasses.replace(
            config.proxy,
            cues=str(finding.folder.resolve()),
            cue_outside=ProxyConfig.cue_outside,
            object_share=ProxyConfig.object_share,
        )
        job = dataclasses.replace(job, config=dataclasses.replace(config, proxy=proxy))
        return PlannedRun(arm, seed, job, settings, finding, self._run_folder(source, seed))

    def _run_folder(self, arm: Arm, seed: int) -> Path:
        return self.folder / "runs" / arm.folder / f"seed-{seed}"

    def _finding(self, proxy: ProxyConfig, source: Arm, seed: int) -> Job:
        """Return the job that finds the cues of an arm; arms that ask for the same share it."""
        asked = ProxyConfig(
            cues=proxy.cues,
            cue_outside=proxy.cue_outside,
            object_share=proxy.object_share,
            target_layer=proxy.target_layer,
        )
        words = [source.name, f"objects_{asked.object_share:g}", f"outside_{asked.cue_outside:g}"]
        words += [] if asked.target_layer is None else [asked.target_layer]
        config = dataclasses.replace(source.config, proxy=asked, robust=None, seed=seed)
        folder = self.folder / "cues" / folder_name("-".join(words)) / f"seed-{seed}"
        run = ("--run", str(self._run_folder(source, seed)))
        return Job(config, folder, self.finding, run)

    def missing(self, results: Results) -> list[PlannedRun]:
        """Return the runs without results."""
        return [run for run in self.runs() if not results.has(run.arm.name, run.seed, run.settings)]

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
    planned, missing = study.runs(), study.missing(results)
    _check_settings(results, planned)
    _check_same_source(study, results)
    if missing:
        text = json.dumps({"source": study.source}, indent=2) + "\n"
        write_text_atomically(study.folder / _ABOUT, text)
    queue = RunQueue(planned, missing)
    failures: list[str] = []
    with progress_bar(
        total=len(planned),
        initial=len(planned) - len(missing),
        unit="run",
        shown=not quiet,
    ) as bar:

        def report(job: Job, outcome: dict[str, Any] | JobError) -> Sequence[Job]:
            run = queue.run_of(job)
            if run is not None and results.has(run.arm.name, run.seed, run.settings):
                run = None  # Trained again for its network alone.
            bar.update(run is not None)
            try:
                if isinstance(outcome, JobError):
                    raise outcome
                row = None if run is None else _row(run, outcome)
            except (JobError, ValueError) as error:
                failures.append(f"{queue.name_of(job)}: {error}")
                lost = queue.lost(job)
                failures.extend(f"{other}: its cues cannot be found, see above" for other in lost)
                bar.update(len(lost))
                return ()
            if row is not None:
                results.add(row)
                check_conditions(results.of(names, study.seeds))
                if not quiet:
                    bar.write(f"{run}: {row['test_accuracy']:.2%}", file=sys.stderr)
            return queue.after(job, outcome)

        jobs.run_all(queue.first, workers=workers, report=report)
    return results, failures


def _row(run: PlannedRun, metrics: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a finished run; ValueError if a file of it is damaged."""
    cues = None if run.finding is None else finished_metrics(run.finding.folder)
    is_auto = run.job.config.precision == "auto"
    names = run.arm.name, run.seed, run.job.folder
    return row_of(*names, metrics, run.settings, cues, is_auto=is_auto)


def _check_settings(results: Results, planned: Sequence[PlannedRun]) -> None:
    """Raise ValueError if results were made with other settings than the planned ones."""
    other = {
        run.arm.name: None
        for run in planned
        if results.has_other(run.arm.name, run.seed, run.settings)
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
    """Check that the study fits what its folder holds, and that its data and cues exist if needed.

    Raises:
        ValueError: It does not fit, or the data or a folder of cues do not exist.
    """
    # The report of a finished study does not need its data.
    results = Results(study.folder)
    _check_settings(results, study.runs())
    if missing := study.missing(results):
        jobs.check_source(study.source)
        check_cue_folders({run.arm.name: run.arm.config for run in missing})
