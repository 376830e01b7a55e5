"""`python -m tuner.study`: comparison of arms with seeds, controls and statistics."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from proxy_keras.io.atomic_files import write_text_atomically
from proxy_keras.settings import TrainConfig
from proxy_keras.settings.options import add_config_option, add_train_options, build_config
from tuner import job as jobs
from tuner.comparing import leakage, study_report
from tuner.comparing.arms import PLAIN, PROXY_ARM, Arm, make_arms, split_arms
from tuner.comparing.study_results import Results, check_conditions, fingerprint, row_of
from tuner.file_lock import FileLock, lock_folder
from tuner.job import Job, JobError

CLEAN, ORIGINAL = "clean", "original"
_STUDY_FILE = "study.json"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; training settings that are not given are absent from its result."""
    parser = argparse.ArgumentParser(
        prog="python -m tuner.study",
        description="Compare recipes under equal conditions: the same split, the same initial "
        "weights per seed and the same number of steps, with controls and statistics. Run the same "
        "command again to resume.",
        argument_default=argparse.SUPPRESS,
    )
    study = parser.add_argument_group("study")
    study.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the study")
    study.add_argument(
        "--arms",
        default=PROXY_ARM,
        metavar="A,B,C",
        help="none, proxy, random_mask, erasing, proxies_off, with a preset as in proxy:shortcut, "
        "an augmentation, or a YAML file of recipes (default: proxy)",
    )
    study.add_argument(
        "--controls",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="add all controls of each proxy arm; none is always included (default: on)",
    )
    study.add_argument(
        "--seeds", type=int, default=5, metavar="K", help="runs per arm (default: 5)"
    )
    study.add_argument(
        "--first-seed", type=int, default=0, metavar="I", help="the first seed (default: 0)"
    )
    study.add_argument(
        "--protocol",
        choices=(CLEAN, ORIGINAL),
        default=CLEAN,
        help="original: compare the thesis's leaking protocol with the clean one",
    )
    study.add_argument(
        "--effect",
        type=float,
        default=1.0,
        metavar="POINTS",
        help="the effect that the study should detect (default: 1.0)",
    )
    study.add_argument(
        "--workers", type=int, default=1, metavar="N", help="parallel runs (default: 1)"
    )
    study.add_argument("--title", metavar="TEXT", help="title of the report")
    study.add_argument("--quiet", action="store_true", default=False, help="print only the verdict")
    add_config_option(study)
    add_train_options(parser)
    return parser


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
        write_text_atomically(study.folder / _STUDY_FILE, text)
    by_folder = {item[2].folder: item for item in missing}
    failures: list[str] = []
    with tqdm(
        total=len(planned), initial=len(planned) - len(missing), unit="run", disable=quiet
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
    path = study.folder / _STUDY_FILE
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


def _plan(given: dict[str, Any], base: TrainConfig, options: dict[str, Any]) -> Study:
    """Return the study that the options describe."""
    if options["seeds"] < 1:
        raise ValueError(f"`--seeds` must be >= 1. Received: {options['seeds']}")
    if options["workers"] < 1:
        raise ValueError(f"`--workers` must be >= 1. Received: {options['workers']}")
    if not 0 < options["effect"] < math.inf:
        raise ValueError(f"`--effect` must be > 0 and finite. Received: {options['effect']}")
    if "no_proxy" in given or "control" in given:
        raise ValueError("A study has arms instead of `--no-proxy` and `--control`. Use --arms.")
    if "auto" in (base.batch_size, base.lr):
        raise ValueError(
            "The arms of a study share batch size and learning rate. Pass numbers instead of "
            "'auto'."
        )
    if "seed" in given:
        raise ValueError("A study runs several seeds. Use --seeds and --first-seed.")
    seeds = tuple(range(options["first_seed"], options["first_seed"] + options["seeds"]))
    if options["protocol"] == ORIGINAL:
        arms, modules = leakage.make_arms(base)
    else:
        arms = make_arms(split_arms(options["arms"]), base, controls=options["controls"])
        modules = {arm.name: jobs.TRAINING for arm in arms}
    study = Study(options["out"], tuple(arms), seeds, modules)
    # The report of a finished study does not need its data.
    results = Results(study.folder)
    _check_settings(results, study.jobs())
    if study.missing(results):
        jobs.check_source(study.source)
    return study


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code.

    0: done; 1: some runs failed; 2: invalid arguments or data; 130: interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    given = vars(build_parser().parse_args(words))
    names = ("out", "arms", "controls", "seeds", "first_seed", "protocol", "effect", "workers")
    options = {name: given.pop(name) for name in names}
    title, quiet = given.pop("title", None), given.pop("quiet")
    command = shlex.join(["python", "-m", "tuner.study", *words])
    try:
        base = build_config(given)
        study = _plan(given, base, options)
        with study.lock():
            results, failures = run(study, workers=options["workers"], quiet=quiet)
            rows = results.of([arm.name for arm in study.arms], study.seeds)
            title = title or f"{base.model} on {Path(base.data.source).stem}"
            if options["protocol"] == ORIGINAL:
                sentence = leakage.write(
                    study.folder, rows, title=title, command=command, planned=len(study.jobs())
                )
            else:
                verdict = study_report.write(
                    study.folder,
                    rows,
                    title=title,
                    command=command,
                    reference=PLAIN,
                    effect_points=options["effect"],
                    arms=[arm.name for arm in study.arms],
                    seeds=study.seeds,
                )
                sentence = "\n".join([verdict.sentence, *verdict.warnings])
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped. Run the same command to resume.", file=sys.stderr)
        return 130
    print(f"{sentence}\nreport: {study.folder / 'report.md'}")
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
