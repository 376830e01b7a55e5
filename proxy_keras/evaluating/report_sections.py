"""The sections of an evaluation report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from proxy_keras.evaluating import charts
from proxy_keras.evaluating.comparison_section import TITLES, comparison_section
from proxy_keras.evaluating.evaluated_model import TrainedRun
from proxy_keras.evaluating.findings import Finding
from proxy_keras.evaluating.group_section import group_section
from proxy_keras.evaluating.report_parts import (
    Card,
    Cards,
    Code,
    Collapsible,
    EmbeddedImage,
    FigureCollection,
    FigurePart,
    FindingsPart,
    Part,
    Report,
    Section,
    Table,
    Text,
)
from proxy_keras.io import figures
from proxy_keras.metrics.classification import saved_confusion

SCORES = (
    *("accuracy", "balanced_accuracy", "worst_class_accuracy", "top5"),
    *("macro_precision", "macro_recall", "macro_f1", "loss"),
)
CALIBRATION = ("ece", "mce", "brier", "nll")
LOCALISATION = ("pointing_game", "mass_inside", "iou")


def build_report(
    metrics: Mapping[str, Any],
    findings: Sequence[Finding],
    shown: Mapping[str, Sequence[Card]],
    run: TrainedRun | None,
    cues: Sequence[Section] = (),
) -> tuple[Report, dict[str, figures.Figure]]:
    """Build the report and its charts by name.

    Args:
        metrics: The content of `metrics.json`.
        findings: The findings.
        shown: Image cards by name, see `failure_cards`.
        run: The training run; None if unknown.
        cues: The sections on cues.
    """
    collection = FigureCollection()
    against = []
    if "against" in metrics:
        against = [comparison_section(metrics, shown.get("disagree", ()), collection)]
    sections = [
        Section("findings", "Findings", [FindingsPart(findings)]),
        _failures(metrics, shown),
        *_groups(metrics),
        *cues,
        *against,
        _classification(metrics, collection),
        _calibration(metrics, collection),
        *([] if metrics["robustness"] is None else [_robustness(metrics, collection)]),
        *([] if metrics["heatmaps"] is None else [_heatmaps(metrics)]),
        *([] if run is None else [_training(run, collection)]),
        _reproduction(metrics, run),
    ]
    data, scores = metrics["data"], metrics["classification"]
    report = Report(
        title=f"Evaluation of {metrics['model']['name']}",
        subtitle=f"{data['images']} images ({data['split']}) of {data['source']}, "
        f"{data['image_size']} px. {data['seen_in_training']}",
        facts=_facts(metrics, scores),
        sections=sections,
    )
    return report, collection.figures


def _facts(metrics: Mapping[str, Any], scores: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = [
        ("accuracy", f"{scores['accuracy']:.1%}"),
        *_group_facts(metrics["groups"]),
        ("macro F1", f"{scores['macro_f1']:.3f}"),
        ("calibration error", f"{metrics['calibration']['ece']:.3f}"),
    ]
    if metrics["robustness"] is not None:
        facts.append(("corrupted accuracy", f"{metrics['robustness']['mean_accuracy']:.1%}"))
    if (metrics["heatmaps"] or {}).get("objects"):
        inside = metrics["heatmaps"]["objects"]["mass_inside"]["mean"]
        facts.append(("heat on the object", f"{inside:.0%}"))
    if "networks" in (metrics["ticked_cues"] or {}):
        share = metrics["ticked_cues"]["networks"]["this"]["share"]["value"]
        facts.append(("evidence on ticked cues", f"{share:.0%}"))
    return facts


def _groups(metrics: Mapping[str, Any]) -> list[Section]:
    if metrics["groups"] is None:
        return []
    return [group_section(metrics["groups"], metrics["model"]["selection"])]


def _group_facts(groups: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    return [] if groups is None else [("worst group", f"{groups['worst_group_accuracy']:.1%}")]


def _failures(metrics: Mapping[str, Any], shown: Mapping[str, Sequence[Card]]) -> Section:
    pairs = metrics["mistakes"]["confused_pairs"]
    parts: list[Part] = []
    if not pairs:
        parts.append(Text("All images are classified correctly."))
    else:
        parts += [
            Text("Most confused classes:"),
            Table(
                ["true class", "predicted", "images", "share of class"],
                [
                    [pair["true"], pair["predicted"], str(pair["images"]), f"{pair['share']:.0%}"]
                    for pair in pairs
                ],
                numeric=(2, 3),
            ),
        ]
    if "worst" in shown:
        heat = metrics["heatmaps"] is not None
        with_heat = ", with the heatmap of the predicted class" if heat else ""
        parts += [Text(f"Most confident errors{with_heat}:"), Cards(shown["worst"])]
    if "outside" in shown:
        parts += [
            Text("Images with less heat on the object than uniform heat would have, worst first:"),
            Cards(shown["outside"]),
        ]
    return Section("failures", "Errors", parts)


def _classification(metrics: Mapping[str, Any], collection: FigureCollection) -> Section:
    scores = metrics["classification"]
    classes = metrics["model"]["classes"]
    rows = []
    for name in SCORES:
        interval = scores["intervals"].get(name)
        between = "" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"
        rows.append([TITLES[name], f"{scores[name]:.3f}", between])
    per_class = Table(
        ["class", "precision", "recall", "F1", "images"],
        [
            [
                row["class"],
                *(f"{row[name]:.3f}" for name in ("precision", "recall", "f1")),
                str(row["images"]),
            ]
            for row in scores["per_class"]
        ],
        numeric=(1, 2, 3, 4),
    )
    confusion = figures.confusion_matrix(saved_confusion(scores), classes, title="confusion matrix")
    return Section(
        "classification",
        "Classification",
        [
            Table(["score", "value", "95% interval"], rows, numeric=(1, 2)),
            collection.add("confusion", confusion, "Number of images by true and predicted class."),
            Collapsible("Scores per class", table=per_class),
        ],
    )


def _calibration(metrics: Mapping[str, Any], collection: FigureCollection) -> Section:
    calibration = metrics["calibration"]
    bins = calibration["bins"]
    figure = charts.reliability(
        np.array([one["confidence"] for one in bins], np.float64),
        np.array([one["accuracy"] for one in bins], np.float64),
        np.array([one["count"] for one in bins], np.int64),
    )
    rows = [[TITLES[name], f"{calibration[name]:.4f}"] for name in CALIBRATION]
    caption = "Below the dashed line, the model is overconfident; above it, underconfident."
    return Section(
        "calibration",
        "Calibration",
        [
            Table(["score", "value"], rows, numeric=(1,)),
            collection.add("reliability", figure, caption),
        ],
    )


def _robustness(metrics: Mapping[str, Any], collection: FigureCollection) -> Section:
    clean = metrics["classification"]["accuracy"]
    named = {
        name.replace("_", " "): values
        for name, values in metrics["robustness"]["corruptions"].items()
    }
    severities = max(len(values) for values in named.values())
    table = Table(
        ["corruption", *(f"severity {number + 1}" for number in range(severities))],
        [[name, *(f"{value:.1%}" for value in values)] for name, values in named.items()],
        numeric=tuple(range(1, severities + 1)),
    )
    caption = f"Accuracy on corrupted images, compared with {clean:.1%} on clean images."
    figure = charts.robustness(clean, named)
    parts: list[Part] = [
        collection.add("robustness", figure, caption),
        Collapsible("Accuracy as a table", table=table),
    ]
    return Section("robustness", "Robustness to corruptions", parts)


def _heatmaps(metrics: Mapping[str, Any]) -> Section:
    heat = metrics["heatmaps"]
    faith, objects = heat["faithfulness"], heat["objects"]
    parts: list[Part] = [
        Text(
            f"Heatmaps of the predicted class for {heat['images']} images by {heat['method']}. "
            f"{heat['why']} Blank heatmaps: {heat['blank']}."
        ),
        Table(
            ["score", "heatmaps", "random heat", "better"],
            [
                ["deletion", *_pair(faith["deletion"]), "lower"],
                ["insertion", *_pair(faith["insertion"]), "higher"],
            ],
            numeric=(1, 2),
        ),
    ]
    if objects is None:
        parts.append(
            Text(
                "The positions of the objects are unknown. Give --masks or --boxes to measure how "
                "much of the heat lies on them.",
                is_soft=True,
            )
        )
    else:
        rows = [
            [TITLES[name], *(f"{objects[name][key]:.3f}" for key in ("mean", "centre", "area"))]
            for name in LOCALISATION
        ]
        parts += [
            Text(
                f"The object is known in {objects['images']} of the images and covers "
                f"{objects['area']:.0%} of the image on average. Two baselines need no model: a "
                "Gaussian at the image centre, and uniform heat."
            ),
            Table(["score", "heatmaps", "centre", "uniform"], rows, numeric=(1, 2, 3)),
        ]
    return Section("heatmaps", "Heatmaps", parts)


def _pair(score: Mapping[str, float]) -> tuple[str, str]:
    return f"{score['mean']:.3f}", f"{score['random']:.3f}"


def _training(run: TrainedRun, collection: FigureCollection) -> Section:
    history, steps = run.history, run.metrics["proxy_steps"]
    marks = [step["epoch"] + 1 for step in steps]
    parts: list[Part] = []
    for name in ("accuracy", "loss"):
        figure = figures.curves(
            history["epoch"].tolist(),
            {"training": history[name].tolist(), "validation": history[f"val_{name}"].tolist()},
            xlabel="epoch",
            ylabel=name,
            title="",
            marks=marks,
        )
        dashed = " Dashed lines: proxy steps." if steps else ""
        parts.append(
            collection.add(f"training_{name}", figure, f"{name.capitalize()} by epoch.{dashed}")
        )
    if not steps:
        parts.append(Text("This run was trained without proxies."))
        return Section("training", "Training", parts)
    counts = {name: [step[name] for step in steps] for name in ("wrong", "chosen", "made")}
    parts.append(
        collection.add(
            "proxies",
            charts.proxies_over_time(marks, counts),
            "Training images per proxy step: misclassified (wrong), chosen for a proxy, and "
            "replaced by one (made).",
        )
    )
    for sheet in run.sheets:
        epoch = int(sheet.stem.rpartition("_")[2])
        caption = f"Proxy step after epoch {epoch}: original, heatmap, proxy."
        parts.append(FigurePart(EmbeddedImage.from_file(sheet, caption), caption, is_sheet=True))
    return Section("training", "Training", parts)


def _reproduction(metrics: Mapping[str, Any], run: TrainedRun | None) -> Section:
    made = metrics["made_with"]
    rows = [
        ["model file, SHA-256", metrics["model"]["sha256"]],
        ["split, SHA-256", metrics["data"]["split_sha256"]],
        ["parameters", f"{metrics['model']['parameters']:,}"],
        *([name, version] for name, version in made["versions"].items()),
    ]
    parts: list[Part] = [Code(made["command"]), Table(["item", "value"], rows)]
    if run is not None:
        parts += [
            Text("Repeat the training run with its configuration, config.json:"),
            Code("python -m proxy_keras.train --config config.json --out again"),
            Collapsible("config.json", text=json.dumps(run.config.to_dict(), indent=2)),
            Collapsible("run.json", text=json.dumps(run.facts, indent=2)),
        ]
    return Section("made", "Reproducibility", parts)
