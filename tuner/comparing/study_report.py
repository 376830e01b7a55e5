"""The report of a study: tables, figures and Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from proxy_keras.io.atomic_files import write_text_atomically
from tuner.comparing import study_csv, study_figures
from tuner.comparing.analysis import ArmSummary, Study, analyse
from tuner.comparing.arm_comparison import Comparison
from tuner.comparing.cue_arms import NOTHING
from tuner.comparing.markdown_table import EMPTY, markdown_table
from tuner.comparing.measures import Measure
from tuner.comparing.selection_table import selection_parts, selection_table
from tuner.comparing.verdict import Verdict, judge, number, percent, points_of, signed


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
    supervision: Mapping[str, str] | None = None,
    measure: Measure | None = None,
    notes: Sequence[str] = (),
) -> Verdict:
    """Write the report of a study, finished or not, and return its verdict.

    Files: `summary.csv` (a row per arm), `comparisons.csv` (a row per comparison),
    `selections.csv` (a row per arm and selection, see `selection_table`), `report.md`,
    `accuracy.png`, `accuracy.svg`, `differences.png`, `differences.svg`. Each is replaced
    atomically; the same results give the same bytes.

    Args:
        folder: Output folder; created if missing.
        results: A row per run, with the columns `arm`, `seed`, `test_accuracy`, `val_accuracy`
            (in [0, 1]), `seconds`, `cpu_seconds`, `proxies_made` and `replaced` (mean fraction of
            pixels, NaN for arms without proxies), and, for arms whose cues were found, with
            `cues_ticked` and `cue_cpu_seconds`, and those of `measures.ALL` that are known. Others
            are ignored. Runs whose measure is NaN count as missing.
        title: Title of the report and the figures.
        command: The command line of the study.
        reference: The arm that the others are compared with, also in CPU time.
        comparisons: Planned pairs (arm, control), the family of Holm's correction; None:
            `arm_comparison.planned_comparisons`.
        effect_points: The effect the study should detect, in points (percent of the test images),
            > 0. Also the bound within which two arms count as the same.
        arms: Names of all arms of the study, in the order of the tables; None: those in `results`.
        seeds: All seeds of the study; None: those in `results`.
        supervision: What each arm was told beside the classes; "none" for arms that it lacks.
        measure: What arms are compared by; None: test accuracy at the last epoch.
        notes: Lines to add at the end of the report.

    Raises:
        ValueError: A column is missing, a run is duplicated, an accuracy is outside [0, 1], or
            `effect_points` is not > 0.
    """
    study = analyse(
        results,
        reference=reference,
        comparisons=comparisons,
        effect_points=effect_points,
        arms=arms,
        seeds=seeds,
        supervision=supervision,
        measure=measure,
    )
    verdict = judge(study)
    selections = selection_table(results, [arm.arm for arm in study.arms])
    folder.mkdir(parents=True, exist_ok=True)
    summary, pairs = study_csv.summary_table(study), study_csv.comparison_table(study)
    write_text_atomically(folder / "summary.csv", summary.to_csv(index=False))
    write_text_atomically(folder / "comparisons.csv", pairs.to_csv(index=False))
    write_text_atomically(folder / "selections.csv", selections.to_csv(index=False))
    study_figures.save(study_figures.accuracy(study, title=title), folder / "accuracy")
    study_figures.save(study_figures.differences(study, title=title), folder / "differences")
    text = report(study, verdict, title=title, command=command, selections=selections, notes=notes)
    write_text_atomically(folder / "report.md", text)
    return verdict


def report(
    study: Study,
    verdict: Verdict,
    *,
    title: str,
    command: str,
    selections: pd.DataFrame,
    notes: Sequence[str] = (),
) -> str:
    """Return the report in Markdown; it embeds the figures of the same folder."""
    parts = [
        f"# {title}",
        f"**{verdict.sentence}**",
        *([_bullets(verdict.warnings)] if verdict.warnings else []),
        f"```bash\n{command}\n```",
        "## Arms",
        _arm_table(study),
        f"{study.measure.words.capitalize()} {study.measure.epoch}, in points, with its 95% t "
        "interval over seeds. Time is CPU time, in seconds and relative to "
        f"`{study.reference}`.{_about_steps(study)}{_about_cues(study)}",
        _figure("Accuracy of each arm", "accuracy"),
        *selection_parts(selections),
        *(_comparison_parts(study, verdict) if study.comparisons else []),
        *(["## Notes", _bullets(notes)] if notes else []),
    ]
    return "\n\n".join(parts) + "\n"


ARM_HEADER = (
    *("arm", "seeds", "accuracy", "95% interval", "sd", "validation", "time", "ratio"),
    *("proxies made", "pixels replaced"),
)
COMPARISON_HEADER = (
    *("comparison", "seeds", "difference", "95% interval", "p", "Holm p", "sign-flip p"),
    *("Hedges' g (95% interval)", "same sign"),
)
POWER_HEADER = (
    *("comparison", "seeds", "sd", "power at 0.05", "power corrected", "effect for 80%"),
    "seeds for 80%",
)


def _comparison_parts(study: Study, verdict: Verdict) -> list[str]:
    return [
        "## Comparisons",
        _bullets(verdict.comparisons),
        markdown_table(COMPARISON_HEADER, [_comparison_cells(item) for item in study.comparisons]),
        _how_to_read(study),
        _figure("Paired differences", "differences"),
        "## Power",
        markdown_table(POWER_HEADER, [_power_cells(item) for item in study.comparisons]),
        f"The power to detect an effect of {points_of(study.effect_points)}: at 0.05, and at the "
        "strictest step of Holm's correction, which the last two columns also use. All use the "
        "observed standard deviation, which is imprecise with few seeds.",
    ]


def _figure(alt: str, stem: str) -> str:
    return f"![{alt}]({stem}.png)\n\n[As SVG]({stem}.svg)"


def _arm_table(study: Study) -> str:
    """Return the table of the arms; some columns only where they say much."""
    arms = study.arms
    header, rows = list(ARM_HEADER), [_arm_cells(arm) for arm in arms]
    header[2] = study.measure.words.removeprefix("test ")
    more = {
        "extra steps": [f"{arm.extra_steps:,.0f}" if arm.extra_steps else None for arm in arms],
        "supervision": [None if arm.supervision == NOTHING else arm.supervision for arm in arms],
        "finding cues": [
            None if arm.cue_cpu_seconds is None else f"{arm.cue_cpu_seconds:,.0f}" for arm in arms
        ],
        "nothing ticked": [
            None if arm.unticked is None else f"{arm.unticked} of {arm.n}" for arm in arms
        ],
    }
    for name, cells in more.items():
        if any(cell is not None for cell in cells):
            header.append(name)
            for row, cell in zip(rows, cells, strict=True):
                row.append(EMPTY if cell is None else cell)
    return markdown_table(header, rows)


def _about_steps(study: Study) -> str:
    """Return what must be known of the column on steps; empty where there is none."""
    if not any(arm.extra_steps for arm in study.arms):
        return ""
    return " Extra steps are optimizer steps beside those that all arms share."


def _about_cues(study: Study) -> str:
    """Return what must be known of the columns on cues; empty where there are none."""
    if all(arm.unticked is None for arm in study.arms):
        return ""
    return (
        " The time includes finding the cues, in full for each arm that uses them, but not the run "
        "in whose network they were found. Where nothing was ticked, the run trained on originals "
        "only."
    )


def _arm_cells(arm: ArmSummary) -> list[str]:
    return [
        arm.arm,
        _count(arm.n, arm.missing),
        _cell(arm.mean, ".1f"),
        EMPTY if arm.low is None else f"{arm.low:.1f} to {arm.high:.1f}",
        _cell(arm.sd, ".2f"),
        _cell(arm.val, ".1f"),
        _cell(arm.cpu_seconds, ",.0f"),
        _cell(arm.cpu_ratio, ".2f"),
        _cell(arm.proxies_made, ",.0f"),
        EMPTY if arm.replaced is None else f"{100.0 * arm.replaced:.1f}%",
    ]


def _comparison_cells(item: Comparison) -> list[str]:
    has_interval = item.low is not None and item.high is not None
    effect = item.effect
    return [
        f"{item.arm} - {item.control}",
        _count(item.n, item.missing),
        EMPTY if item.mean is None else signed(item.mean),
        f"{signed(item.low or 0.0)} to {signed(item.high or 0.0)}" if has_interval else EMPTY,
        *(_p_cell(p) for p in (item.p, item.p_holm, item.p_sign_flip)),
        f"{effect.hedges_g:.1f} ({effect.low:.1f} to {effect.high:.1f})" if effect else EMPTY,
        EMPTY if item.n == 0 else "yes" if item.is_same_sign else "no",
    ]


def _power_cells(item: Comparison) -> list[str]:
    power = item.power
    cells = [f"{item.arm} - {item.control}", str(item.n), _cell(item.sd, ".2f")]
    if power is None:
        return [*cells, *[EMPTY] * 4]
    found = power.detectable_points
    return [
        *cells,
        percent(power.power_uncorrected),
        percent(power.power),
        EMPTY if found is None else f"{number(found)} points",
        "> 1,000" if power.seeds_needed is None else str(power.seeds_needed),
    ]


def _how_to_read(study: Study) -> str:
    n = max((item.n for item in study.comparisons), default=0)
    lines = [
        "Differences are paired by seed, which removes effects of the seed common to both arms. p "
        "is that of the paired t-test, which assumes normal differences; Holm's correction covers "
        f"all {len(study.comparisons)} planned comparisons, and the intervals are not corrected.",
    ]
    if n >= 2:
        least = 2.0 ** (1 - n)
        limit = "" if least <= 0.05 else ", so it cannot reach 0.05 here"
        lines.append(
            "The sign-flip test does not assume a normal distribution, which few seeds cannot "
            f"confirm; with {n} seeds its p is never below {least:.3g}{limit}."
        )
    lines.append(
        "These statistics cover variation over seeds on one split and one test set; results on "
        "other data may differ."
    )
    return " ".join(lines)


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _count(n: int, missing: int) -> str:
    return f"{n} ({missing} missing)" if missing else str(n)


def _cell(value: float | None, spec: str) -> str:
    return EMPTY if value is None else format(value, spec)


def _p_cell(p: float | None) -> str:
    return EMPTY if p is None else "< 0.001" if p < 0.001 else f"{p:.3g}" if p < 0.1 else f"{p:.2f}"
