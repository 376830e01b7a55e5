"""The leakage study: the original against the clean protocol, by number of segments."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from proxy_keras.io.atomic_files import write_text_atomically
from proxy_keras.settings import ProxyConfig, TrainConfig
from proxy_keras.settings.schedule import Segments, parse
from tuner import job as jobs
from tuner.comparing import leakage_figure
from tuner.comparing.arms import Arm
from tuner.comparing.paired_tests import mean_interval
from tuner.scaled_schedule import rescale

SCHEDULES = ("40", "20,p,19", "5,p,9,p,9,p,9,p,4")
ORIGINAL_MODULE = "tuner.original_protocol"
PROTOCOLS = ("original", "clean")
PROXIES = ("none", "proxies")


def make_arms(base: TrainConfig) -> tuple[list[Arm], dict[str, str]]:
    """Return both protocols, with and without proxies, for the rescaled schedules of the thesis.

    Args:
        base: Settings of all arms, including the proxy settings other than the schedule.

    Returns:
        The arms, named "original none 3" (protocol, proxies, segments), and the training module of
        each. The clean protocol without proxies has no segments and is a single arm, "clean none
        1". One segment has no proxies.

    Raises:
        ValueError: There are too few epochs for the schedules.
    """
    proxy = base.proxy or ProxyConfig()
    arms: list[Arm] = []
    modules: dict[str, str] = {}
    for schedule in SCHEDULES:
        text = rescale(schedule, made_for=40, epochs=base.epochs)
        segments = parse(text)
        if not isinstance(segments, Segments) or len(segments.parts) != schedule.count(",") + 1:
            raise ValueError(
                f"{base.epochs} epochs are too few for the schedule {schedule!r}: use 20 or more."
            )
        count = len(segments.parts)
        for protocol, kind in itertools.product(PROTOCOLS, PROXIES):
            is_plain = (protocol, kind) == ("clean", "none")
            if (count == 1 and kind == "proxies") or (count > 1 and is_plain):
                continue
            control = "proxies_off" if kind == "none" else None
            settings = dataclasses.replace(proxy, schedule=text, control=control)
            name = f"{protocol} {kind} {count}"
            arms.append(Arm(name, dataclasses.replace(base, proxy=None if is_plain else settings)))
            modules[name] = ORIGINAL_MODULE if protocol == "original" else jobs.TRAINING
    return arms, modules


def write(
    folder: Path,
    rows: pd.DataFrame,
    *,
    title: str,
    command: str,
    planned: int,
    notes: Sequence[str] = (),
) -> str:
    """Write the report of the leakage study, and return its verdict.

    Files: `report.md`, `leakage.csv`, `leakage.png`, `leakage.svg`.

    Args:
        folder: Output folder.
        rows: A row per run; see `study_results`.
        title: Title of the report and the figure.
        command: The command line of the study.
        planned: Number of runs of the study.
        notes: Lines to add before the command.
    """
    table = summary(rows)
    sentence = verdict(rows)
    write_text_atomically(folder / "leakage.csv", table.to_csv(index=False, float_format="%.6g"))
    leakage_figure.write(folder, table, title)
    missing = planned - len(rows)
    lines = [
        f"# {title}",
        "",
        sentence,
        "",
        *([f"**{missing} runs are missing.**", ""] if missing else []),
        "![Accuracy by number of segments](leakage.svg)",
        "",
        "| protocol | proxies | segments | seeds | reported (validation) | untouched test |",
        "|---|---|---|---|---|---|",
        *(
            f"| {row.protocol} | {row.proxies} | {row.segments} | {row.seeds} | "
            f"{_points(row.validation, row.validation_low, row.validation_high)} | "
            f"{_points(row.test, row.test_low, row.test_high)} |"
            for row in table.itertuples()
        ),
        "",
        "Means over seeds in percent, with 95% intervals. The original protocol redraws the "
        "training and validation images for each segment of the schedule; the clean protocol draws "
        "them once. Neither ever trains on a test image.",
        "",
        *(line for note in notes for line in (note, "")),
        "```bash",
        command,
        "```",
        "",
    ]
    write_text_atomically(folder / "report.md", "\n".join(lines))
    return sentence


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row per arm: protocol, proxies, segments, and means over seeds with intervals."""
    lines = []
    for arm, runs in rows.groupby("arm", sort=False):
        protocol, proxies, segments = str(arm).split()
        line = {
            "protocol": protocol,
            "proxies": proxies,
            "segments": int(segments),
            "seeds": len(runs),
        }
        for name, column in (("validation", "val_accuracy"), ("test", "test_accuracy")):
            values = runs[column].to_numpy(np.float64)
            low, high = mean_interval(values) if len(values) > 1 else (np.nan, np.nan)
            # Student's interval may extend beyond possible accuracies.
            low, high = np.clip([low, high], 0.0, 1.0)
            line |= {name: values.mean(), f"{name}_low": float(low), f"{name}_high": float(high)}
        lines.append(line)
    return pd.DataFrame(lines)


def verdict(rows: pd.DataFrame) -> str:
    """Return the effect of more segments under the original protocol without proxies."""
    bare = rows[rows["arm"].str.startswith("original none ")]
    wide = bare.pivot(index="seed", columns="arm", values=["val_accuracy", "test_accuracy"])
    wide = wide.dropna()
    counts = sorted({int(arm.split()[-1]) for arm in bare["arm"]})
    if len(counts) < 2 or len(wide) < 2:
        return "Too few runs to say whether segments alone raise the reported accuracy."
    few, many = f"original none {counts[0]}", f"original none {counts[-1]}"

    def rise(column: str) -> tuple[float, float, float]:
        differences = 100 * (wide[column][many] - wide[column][few]).to_numpy(np.float64)
        low, high = mean_interval(differences)
        return float(differences.mean()), float(low), float(high)

    reported, on_test = rise("val_accuracy"), rise("test_accuracy")
    what = f"from {counts[0]} to {counts[-1]} segments, without any proxies"
    numbers = (
        f"{reported[0]:+.1f} points (95% interval {reported[1]:+.1f} to {reported[2]:+.1f}, "
        f"{len(wide)} seeds)"
    )
    truth = (
        f"accuracy on untouched test images changes by {on_test[0]:+.1f} points "
        f"({on_test[1]:+.1f} to {on_test[2]:+.1f})"
    )
    if reported[1] > 0:
        return (
            f"Under the original protocol the reported accuracy rises {what}: {numbers}; {truth}."
        )
    return f"The reported accuracy was not shown to rise {what}: {numbers}; {truth}."


def _points(mean: float, low: float, high: float) -> str:
    if np.isnan(low):
        return f"{100 * mean:.1f}"
    return f"{100 * mean:.1f} ({100 * low:.1f} to {100 * high:.1f})"
