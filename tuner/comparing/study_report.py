"""Writes what a study found: tables, figures and a report in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from proxy_keras.io.atomic_files import write_text_atomically
from tuner.comparing import study_csv, study_figures
from tuner.comparing.analysis import ArmSummary, Study, analyse
from tuner.comparing.arm_comparison import Comparison
from tuner.comparing.verdict import Verdict, judge, number, percent, points_of, signed

NOTHING = "–"


def write(
    folder: Path,
    results: pd.DataFrame,
    *,
    title: str,
    command: str,
    reference: str = "none",
    comparisons: Sequence[tuple[str, str]] | None = None,
    effect_points: float = 1.0,
    arms: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    notes: Sequence[str] = (),
) -> Verdict:
    """The verdict, after writing the report of a study, finished or not, into a folder.

    Files: `summary.csv` (a line per arm), `comparisons.csv` (a line per comparison), `report.md`,
    `accuracy.png`, `accuracy.svg`, `differences.png`, `differences.svg`. Each is replaced in one
    step; the same results give the same bytes.

    Args:
        folder: Where the files go; it is made where it is missing.
        results: A row per run, with the columns `arm`, `seed`, `test_accuracy`, `val_accuracy`
            (shares, in [0, 1]), `seconds`, `cpu_seconds`, `proxies_made` and `replaced` (mean
            share of pixels, NaN for arms without proxies). Others are ignored. Runs that are
            missing, or whose `test_accuracy` is NaN, are counted as missing.
        title: Heading of the report and of the figures.
        command: The command line that made the study.
        reference: The arm that the others, and their time, are compared with.
        comparisons: Pairs (arm, control) that were planned, the family of Holm's correction;
            None: `arm_comparison.planned_comparisons`.
        effect_points: The effect that the study is asked to find, in points (per cent of the test
            images), > 0. Also the bound within which two arms count as the same.
        arms: Names of all arms of the study, in the order of the tables; None: those in `results`.
        seeds: All seeds of the study; None: those in `results`.
        notes: Lines to add at the end of the report.

    Raises:
        ValueError: A column is missing, a run is there twice, an accuracy is outside [0, 1], or
            `effect_points` is not > 0.
    """
    study = analyse(
        results,
        reference=reference,
        comparisons=comparisons,
        effect_points=effect_points,
        arms=arms,
        seeds=seeds,
    )
    verdict = judge(study)
    folder.mkdir(parents=True, exist_ok=True)
    summary, pairs = study_csv.summary_table(study), study_csv.comparison_table(study)
    write_text_atomically(folder / "summary.csv", summary.to_csv(index=False))
    write_text_atomically(folder / "comparisons.csv", pairs.to_csv(index=False))
    study_figures.save(study_figures.accuracy(study, title=title), folder / "accuracy")
    study_figures.save(study_figures.differences(study, title=title), folder / "differences")
    write_text_atomically(
        folder / "report.md", report(study, verdict, title=title, command=command, notes=notes)
    )
    return verdict


def report(
    study: Study, verdict: Verdict, *, title: str, command: str, notes: Sequence[str] = ()
) -> str:
    """The report in Markdown; it shows the figures that lie beside it."""
    parts = [
        f"# {title}",
        f"**{verdict.sentence}**",
        *([_bullets(verdict.warnings)] if verdict.warnings else []),
        f"```bash\n{command}\n```",
        "## Arms",
        _table(ARM_HEADER, [_arm_cells(arm) for arm in study.arms]),
        "Test accuracy at the last epoch, in points, with its 95 % t interval over seeds. Time is "
        f"that of the processor, in seconds and as a ratio to `{study.reference}`.",
        _picture("Accuracy of each arm", "accuracy"),
        *(_on_comparisons(study, verdict) if study.comparisons else []),
        *(["## Notes", _bullets(notes)] if notes else []),
    ]
    return "\n\n".join(parts) + "\n"


ARM_HEADER = (
    "arm",
    "seeds",
    "accuracy",
    "95 % interval",
    "sd",
    "validation",
    "time",
    "ratio",
    "proxies made",
    "pixels replaced",
)
COMPARISON_HEADER = (
    "comparison",
    "seeds",
    "difference",
    "95 % interval",
    "p",
    "Holm p",
    "sign-flip p",
    "Hedges' g (95 % interval)",
    "same sign",
)
POWER_HEADER = (
    "comparison",
    "seeds",
    "sd",
    "power at 0.05",
    "power corrected",
    "found in 80 %",
    "seeds for 80 %",
)


def _on_comparisons(study: Study, verdict: Verdict) -> list[str]:
    return [
        "## Comparisons",
        _bullets(verdict.comparisons),
        _table(COMPARISON_HEADER, [_comparison_cells(item) for item in study.comparisons]),
        _how_to_read(study),
        _picture("Paired differences", "differences"),
        "## Power",
        _table(POWER_HEADER, [_power_cells(item) for item in study.comparisons]),
        f"The chance to find an effect of {points_of(study.effect_points)}: at 0.05, and at the "
        "strictest step of Holm's correction, to which the last two columns belong. They go by "
        "the standard deviation that was observed, which few seeds tell only roughly.",
    ]


def _picture(alt: str, stem: str) -> str:
    return f"![{alt}]({stem}.png)\n\n[As SVG]({stem}.svg)"


def _arm_cells(arm: ArmSummary) -> list[str]:
    return [
        arm.arm,
        _count(arm.n, arm.missing),
        _cell(arm.mean, ".1f"),
        NOTHING if arm.low is None else f"{arm.low:.1f} to {arm.high:.1f}",
        _cell(arm.sd, ".2f"),
        _cell(arm.val, ".1f"),
        _cell(arm.cpu_seconds, ",.0f"),
        _cell(arm.cpu_ratio, ".2f"),
        _cell(arm.proxies_made, ",.0f"),
        NOTHING if arm.replaced is None else f"{100.0 * arm.replaced:.1f} %",
    ]


def _comparison_cells(item: Comparison) -> list[str]:
    has_interval = item.low is not None and item.high is not None
    effect = item.effect
    return [
        f"{item.arm} - {item.control}",
        _count(item.n, item.missing),
        NOTHING if item.mean is None else signed(item.mean),
        f"{signed(item.low or 0.0)} to {signed(item.high or 0.0)}" if has_interval else NOTHING,
        *(_p_cell(p) for p in (item.p, item.p_holm, item.p_sign_flip)),
        f"{effect.hedges_g:.1f} ({effect.low:.1f} to {effect.high:.1f})" if effect else NOTHING,
        NOTHING if item.n == 0 else "yes" if item.is_same_sign else "no",
    ]


def _power_cells(item: Comparison) -> list[str]:
    power = item.power
    cells = [f"{item.arm} - {item.control}", str(item.n), _cell(item.sd, ".2f")]
    if power is None:
        return [*cells, *[NOTHING] * 4]
    found = power.detectable_points
    return [
        *cells,
        percent(power.power_uncorrected),
        percent(power.power),
        NOTHING if found is None else f"{number(found)} points",
        "> 1,000" if power.seeds_needed is None else str(power.seeds_needed),
    ]


def _how_to_read(study: Study) -> str:
    n = max((item.n for item in study.comparisons), default=0)
    lines = [
        "Differences are taken seed by seed, so what a seed does to both arms drops out. p is of "
        "the paired t-test, which takes them as normal; Holm's correction is over all "
        f"{len(study.comparisons)} planned comparisons, and the intervals are not corrected.",
    ]
    if n >= 2:
        least = 2.0 ** (1 - n)
        able = "" if least <= 0.05 else ", so it cannot reach 0.05 here"
        lines.append(
            "The sign-flip test needs no normal distribution, which so few can hardly prove; with "
            f"{n} seeds its p is never below {least:.3g}{able}."
        )
    lines.append(
        "All of it is about seeds, on one split and one test set; other data may say otherwise."
    )
    return " ".join(lines)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---"] + ["---:"] * (len(header) - 1)
    lines = [header, rule, *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _count(n: int, missing: int) -> str:
    return f"{n} ({missing} missing)" if missing else str(n)


def _cell(value: float | None, spec: str) -> str:
    return NOTHING if value is None else format(value, spec)


def _p_cell(p: float | None) -> str:
    return (
        NOTHING if p is None else "< 0.001" if p < 0.001 else f"{p:.3g}" if p < 0.1 else f"{p:.2f}"
    )
