"""Statistics of a study: a summary of each arm, and the planned comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tuner.comparing import paired_tests
from tuner.comparing.arm_comparison import Comparison, compare, planned_comparisons
from tuner.comparing.cue_arms import NOTHING
from tuner.comparing.measures import Measure

COLUMNS = (
    *("arm", "seed", "test_accuracy", "val_accuracy"),
    *("seconds", "cpu_seconds", "proxies_made", "replaced"),
)
OPTIONAL_COLUMNS = ("extra_steps", "cues_ticked", "cue_cpu_seconds")
_OF_GROUPS = ("adjusted_average", "worst_group_accuracy")


@dataclass(frozen=True)
class ArmSummary:
    """Summary of one arm over its seeds. None: not available.

    Attributes:
        arm: Name of the arm.
        n: Number of runs.
        missing: Number of seeds of the study without a run.
        accuracies: [n] the measure of the study by seed, in points.
        mean: Mean of the accuracies, in points.
        sd: Standard deviation over seeds, in points; None with fewer than 2.
        low: Lower end of the 95% interval for the mean, in points; None with fewer than 2.
        high: Upper end of that interval.
        val: Mean validation accuracy, in points.
        seconds: Mean wall-clock time of a run.
        cpu_seconds: Mean CPU time of a run.
        cpu_ratio: CPU time relative to the reference, on common seeds.
        proxies_made: Mean number of proxies of a run.
        replaced: Mean fraction of pixels replaced, in [0, 1].
        extra_steps: Mean number of optimizer steps beside those that all arms share.
        supervision: What the arm was told beside the classes.
        cue_cpu_seconds: Mean CPU time for finding cues, which is part of `cpu_seconds`.
        unticked: Number of runs in which no cue was ticked, so that they trained on originals; None
            for arms for which none are found.
    """

    arm: str
    n: int
    missing: int
    accuracies: tuple[float, ...]
    mean: float | None
    sd: float | None
    low: float | None
    high: float | None
    val: float | None
    seconds: float | None
    cpu_seconds: float | None
    cpu_ratio: float | None
    proxies_made: float | None
    replaced: float | None
    extra_steps: float | None
    supervision: str
    cue_cpu_seconds: float | None
    unticked: int | None


@dataclass(frozen=True)
class Study:
    """Statistics of a study.

    Attributes:
        reference: Name of the arm that the others are compared with.
        effect_points: The target effect, in points.
        seeds: All seeds of the study.
        arms: The reference first.
        comparisons: The family of Holm's correction.
        measure: What arms are compared by.
        groups: Mean adjusted average and mean worst-group accuracy of the reference, in [0, 1];
            None: unknown.
    """

    reference: str
    effect_points: float
    seeds: tuple[int, ...]
    arms: tuple[ArmSummary, ...]
    comparisons: tuple[Comparison, ...]
    measure: Measure = Measure()
    groups: tuple[float, float] | None = None

    @property
    def missing(self) -> int:
        """Number of missing runs."""
        return sum(arm.missing for arm in self.arms)


def analyse(
    results: pd.DataFrame,
    *,
    reference: str = "none",
    comparisons: Sequence[tuple[str, str]] | None = None,
    effect_points: float = 1.0,
    arms: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    supervision: Mapping[str, str] | None = None,
    measure: Measure | None = None,
) -> Study:
    """Return the statistics of a study, finished or not.

    Args:
        results: A row per run, with the columns `COLUMNS`; with `cues_ticked` and
            `cue_cpu_seconds` where cues were found, and `extra_steps`; accuracies are in [0, 1].
            Rows whose measure is NaN count as missing.
        reference: See `Study`.
        comparisons: Pairs (arm, control); None: `planned_comparisons`.
        effect_points: See `Study`; > 0.
        arms: Names of all arms; None: those in `results`.
        seeds: All seeds of the study; None: those in `results`.
        supervision: What each arm was told beside the classes; "none" for arms that it lacks.
        measure: What arms are compared by; None: test accuracy at the last epoch.

    Raises:
        ValueError: A column is missing, a run is duplicated, an accuracy is outside [0, 1], or
            `effect_points` is not > 0.
    """
    measure = Measure() if measure is None else measure
    _check(results, effect_points, measure.column)
    table = results[results[measure.column].notna()]
    of_groups = [Measure(name, measure.selection).column for name in _OF_GROUPS]
    columns = dict.fromkeys([*COLUMNS, *OPTIONAL_COLUMNS, measure.column, *of_groups])
    table = table.reindex(columns=list(columns))
    told = {} if supervision is None else supervision
    names = list(dict.fromkeys(arms if arms is not None else results["arm"]))
    names.sort(key=lambda name: name != reference)
    all_seeds = tuple(sorted(set(map(int, seeds if seeds is not None else results["seed"]))))
    runs = {name: _runs(table, name, all_seeds) for name in {*names, reference}}
    pairs = planned_comparisons(names, reference) if comparisons is None else list(comparisons)
    for name in {name for pair in pairs for name in pair} - set(runs):
        runs[name] = _runs(table, name, all_seeds)
    return Study(
        reference,
        effect_points,
        all_seeds,
        tuple(
            _summary(
                name,
                runs[name],
                runs[reference],
                all_seeds,
                told.get(name, NOTHING),
                measure.column,
            )
            for name in names
        ),
        compare(
            pairs,
            {name: runs[name][measure.column] for name in runs},
            seeds=len(all_seeds),
            effect_points=effect_points,
        ),
        measure,
        _both(*(_mean(runs[reference][name]) for name in of_groups)),
    )


def _both(average: float | None, worst: float | None) -> tuple[float, float] | None:
    return None if average is None or worst is None else (average, worst)


def _check(results: pd.DataFrame, effect_points: float, measure: str) -> None:
    missing = [name for name in (*COLUMNS, measure) if name not in results.columns]
    if missing:
        raise ValueError(
            f"A table of runs needs the columns {', '.join(COLUMNS)}. Missing: {missing}"
        )
    twice = results[results.duplicated(["arm", "seed"])]
    if len(twice):
        raise ValueError(
            "A table of runs must have one row per arm and seed. "
            f"Duplicate: {twice['arm'].iloc[0]}, seed {twice['seed'].iloc[0]}"
        )
    for name in ("test_accuracy", "val_accuracy", measure):
        known = results[name].dropna()
        if not known.between(0.0, 1.0).all():
            raise ValueError(f"`{name}` must be in [0, 1]. Received: {known.max()}")
    if not 0.0 < effect_points < np.inf:
        raise ValueError(f"`effect_points` must be > 0. Received: {effect_points}")


def _runs(table: pd.DataFrame, arm: str, seeds: Sequence[int]) -> pd.DataFrame:
    runs = table[(table["arm"] == arm) & table["seed"].isin(seeds)]
    return runs.set_index("seed").sort_index()


def _summary(
    arm: str,
    runs: pd.DataFrame,
    reference: pd.DataFrame,
    seeds: Sequence[int],
    supervision: str,
    measure: str,
) -> ArmSummary:
    accuracies = 100.0 * runs[measure].to_numpy(float)
    low = high = sd = None
    if len(accuracies) >= 2:
        # Student's interval may extend beyond possible accuracies.
        low, high = map(float, np.clip(paired_tests.mean_interval(accuracies), 0.0, 100.0))
        sd = float(np.std(accuracies, ddof=1))
    both = [runs["cpu_seconds"], reference["cpu_seconds"]]
    times = pd.concat(both, axis=1, join="inner", keys=["arm", "reference"]).dropna().sum()
    val = _mean(runs["val_accuracy"])
    ticked = runs["cues_ticked"].dropna()
    return ArmSummary(
        arm,
        n=len(runs),
        missing=len(seeds) - len(runs),
        accuracies=tuple(map(float, accuracies)),
        mean=float(accuracies.mean()) if len(accuracies) else None,
        sd=sd,
        low=low,
        high=high,
        val=None if val is None else 100.0 * val,
        seconds=_mean(runs["seconds"]),
        cpu_seconds=_mean(runs["cpu_seconds"]),
        cpu_ratio=float(times["arm"] / times["reference"]) if times["reference"] > 0.0 else None,
        proxies_made=_mean(runs["proxies_made"]),
        replaced=_mean(runs["replaced"]),
        extra_steps=_mean(runs["extra_steps"]),
        supervision=supervision,
        cue_cpu_seconds=_mean(runs["cue_cpu_seconds"]),
        unticked=int((ticked == 0).sum()) if len(ticked) else None,
    )


def _mean(column: pd.Series[float]) -> float | None:
    known = column.dropna().to_numpy(float)
    return float(known.mean()) if len(known) else None
