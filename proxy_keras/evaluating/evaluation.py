"""One evaluation, from its options to the folder of its report."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from proxy_keras.data.data_split import DataSplit
from proxy_keras.evaluating.cue_section import cue_section
from proxy_keras.evaluating.evaluated_model import EvaluatedModel, TrainedRun
from proxy_keras.evaluating.evaluation_images import check_other, check_size, load_images
from proxy_keras.evaluating.failure_cards import failure_cards
from proxy_keras.evaluating.findings import derive_findings
from proxy_keras.evaluating.found_cues import cue_command, find_evaluated_cues
from proxy_keras.evaluating.metrics_file import build_metrics
from proxy_keras.evaluating.model_comparison import compare
from proxy_keras.evaluating.model_results import ModelResults, heatmap_positions, measure_model
from proxy_keras.evaluating.options import EvaluationOptions, explanation_method
from proxy_keras.evaluating.report_folder import (
    REPORT,
    check_folder,
    check_models,
    create_folder,
    write_folder,
)
from proxy_keras.evaluating.report_page import find_browser
from proxy_keras.evaluating.report_sections import build_report
from proxy_keras.evaluating.ticked_evidence import TickedEvidence, measure_ticked
from proxy_keras.evaluating.ticked_section import draw_ticked, ticked_section
from proxy_keras.evaluating.ticked_source import TickedCues, find_ticked
from proxy_keras.io.saved_model import SavedModel, open_saved
from proxy_keras.objects.object_masks import find_object_masks


def evaluate_model(
    path: Path, options: EvaluationOptions, settings: dict[str, Any], command: str
) -> str:
    """Evaluate a model and write the folder of its report.

    Args:
        path: A run folder or a `.keras` file.
        options: The options of the evaluation.
        settings: The given data options, by name in the configuration; a run needs none.
        command: The command line, for the report.

    Returns:
        The findings and the path of the report, one per line.

    Raises:
        ValueError, OSError: The model, the images or an option cannot be used.
        FloatingPointError: The model outputs non-finite values.
        RuntimeError: The PDF could not be printed.
    """
    folder = options.out or _default_folder(path, options.against)
    check_folder(folder)
    browser = find_browser() if options.pdf else None
    saved, run = _open(path, options.labels)
    other, other_run = None, None
    if options.against is not None:
        other, other_run = _open(options.against, options.against_labels)
    if options.out is None:
        check_models(folder, saved, other)
    create_folder(folder)
    images = load_images(saved, run, settings, progress=not options.quiet)
    check_size(saved, images.data.image_size)
    model = EvaluatedModel.of(saved, run, images.data.classes)
    model.class_ids(images.split)
    other_model = None
    if other is not None:
        check_size(other, images.data.image_size)
        check_other(saved, run, other, other_run, images)
        other_model = EvaluatedModel.of(other, other_run, images.data.classes, "--against-labels")
        other_model.class_ids(images.split)
        _check_classes(model, other_model)
    models = [model] if other_model is None else [model, other_model]
    ticked = None if options.no_cues else find_ticked(options.cues, models, images.split)
    object_masks = find_object_masks(
        images.data,
        images.split,
        images.root,
        masks=options.masks,
        boxes=options.boxes,
        # Heatmaps are scored in some of the images, cues are looked for in all.
        positions=heatmap_positions(images.split, options) if options.no_cues else None,
        progress=not options.quiet,
    )
    trained_with = _trained_with(run)
    method = explanation_method(options.method, trained_with)
    measured_on = (images.split, object_masks, options, method, images.training_groups)
    results = measure_model(model, *measured_on)
    other_results = None
    if other_model is not None:
        other_results = measure_model(other_model, *measured_on)
    found = None
    if not options.no_cues:
        found = find_evaluated_cues(model, images.split, object_masks, options)
    on_ticked = _measure_ticked(ticked, images.split, results, other_results, options)
    names = images.image_names
    metrics = build_metrics(
        results,
        data=images.to_dict(),
        method_reason=_method_reason(options.method, trained_with),
        image_names=names,
        command=command,
        cues=None if found is None else found.to_dict(),
        ticked_cues=_ticked_dict(on_ticked),
    )
    if other_results is not None:
        metrics["against"] = compare(results, other_results)
    findings = derive_findings(metrics)
    metrics["findings"] = [asdict(finding) for finding in findings]
    cards, sheets = failure_cards(results, other_results, options.batch_size)
    sections = []
    if on_ticked is not None:
        drawn = None
        if isinstance(on_ticked, TickedEvidence):
            drawn = draw_ticked(on_ticked, images.split, names)
        sections.append(ticked_section(metrics, drawn))
    if found is not None:
        pictures = found.pictures(images.split, names, options.seed)
        source = None if run is not None else images.config.data.source
        sections.append(cue_section(metrics, pictures, cue_command(path, source)))
    report, charts = build_report(metrics, findings, cards, run, sections)
    write_folder(folder, metrics, report, results, names, charts, sheets, browser)
    lines = [] if images.is_test else [images.description]
    lines += [f"- {finding.text}" for finding in findings]
    return "\n".join([*lines, f"report: {folder / REPORT}"])


def _measure_ticked(
    ticked: TickedCues | str | None,
    split: DataSplit,
    results: ModelResults,
    other: ModelResults | None,
    options: EvaluationOptions,
) -> TickedEvidence | str | None:
    """Return the evidence on ticked cues, or why there is none; None: nothing is ticked."""
    if not isinstance(ticked, TickedCues):
        return ticked
    try:
        return measure_ticked(ticked, split, results, other, options)
    except ValueError as error:
        # A layer or folder that the user named can be corrected; other cues are only left out.
        if options.cues is not None or options.target_layer is not None:
            raise
        return f"The evidence on the ticked cues in {ticked.network.name} is unknown: {error}"


def _ticked_dict(on_ticked: TickedEvidence | str | None) -> dict[str, Any] | None:
    if on_ticked is None:
        return None
    return {"reason": on_ticked} if isinstance(on_ticked, str) else on_ticked.to_dict()


def _open(path: Path, labels: Path | None) -> tuple[SavedModel, TrainedRun | None]:
    saved = open_saved(path, labels)
    return saved, None if saved.run is None else TrainedRun.read(saved.run)


def _default_folder(path: Path, against: Path | None) -> Path:
    base = path if path.is_dir() else path.parent
    name = "evaluation" if path.is_dir() else f"{path.stem}_evaluation"
    if against is None:
        return base / name
    other = against.resolve()
    return base / f"{name}_against_{other.name if other.is_dir() else other.stem}"


def _check_classes(model: EvaluatedModel, other: EvaluatedModel) -> None:
    if model.classes != other.classes:
        raise ValueError(
            f"Both models must have the same classes in the same order. {model.name}: "
            f"{', '.join(model.classes)}; {other.name}: {', '.join(other.classes)}. If only the "
            "names differ, give --labels or --against-labels FILE.json."
        )


def _trained_with(run: TrainedRun | None) -> str | None:
    """Return the attribution method of a run's proxies; None: no heatmap made them."""
    proxy = None if run is None else run.config.proxy
    # Ticked cues are masked without heatmaps.
    return None if proxy is None or proxy.cues is not None else proxy.method


def _method_reason(asked: str | None, trained_with: str | None) -> str:
    if asked is not None:
        return "The method was requested."
    if trained_with is None:
        return "It is the default method."
    return f"Training made its proxies with {trained_with}, so another method is used here."
