"""One evaluation, from what was asked to the folder of its report."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy_keras.data import ImageData
from proxy_keras.data.data_split import Subset
from proxy_keras.data.records import TEST
from proxy_keras.data.split_table import SplitTable
from proxy_keras.evaluating.evaluated_model import EvaluatedModel, TrainedRun
from proxy_keras.evaluating.failure_cards import failure_cards
from proxy_keras.evaluating.findings import derive_findings
from proxy_keras.evaluating.metrics_file import build_metrics
from proxy_keras.evaluating.model_comparison import compare
from proxy_keras.evaluating.model_results import heatmap_positions, measure_model
from proxy_keras.evaluating.object_masks import find_object_masks
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
from proxy_keras.io.saved_model import SavedModel, image_size, open_saved
from proxy_keras.settings import TrainConfig
from proxy_keras.settings.options import build_config, changed
from proxy_keras.training.run import load_data


@dataclass(frozen=True)
class EvaluationImages:
    """The images of an evaluation.

    Attributes:
        data: All of them, with their split.
        subset: Those that are answered.
        config: Where they come from.
        seen: A sentence: whether the model may have been trained on them.
        split_sha256: The hash of their split; where it is the run's, that of the run, which stays
            when files are renamed.
    """

    data: ImageData
    subset: Subset
    config: TrainConfig
    seen: str
    split_sha256: str

    @property
    def root(self) -> Path | None:
        """The folder that the images were read from; None: they are no files."""
        folder = Path(self.config.data.source)
        return folder if folder.is_dir() else None

    @property
    def is_test(self) -> bool:
        """Whether they are a test split, not all images of the source."""
        return self.subset.name == TEST

    @property
    def told(self) -> str:
        """A line: which images are answered."""
        return (
            f"answered: {len(self.subset)} images of {self.config.data.source}, split "
            f"{self.subset.name!r}. {self.seen}"
        )

    @property
    def image_names(self) -> list[str]:
        """What each image of the subset is called: its path where it is a file, else its id."""
        if self.root is None:
            return self.subset.example_ids
        paths = dict(zip(self.data.table.example_ids, self.data.table.paths, strict=True))
        return [paths[example_id] for example_id in self.subset.example_ids]

    def facts(self) -> dict[str, Any]:
        """`data` of `metrics.json`."""
        return {
            "source": self.config.data.source,
            "split": self.subset.name,
            "images": len(self.subset),
            "image_size": self.data.image_size,
            "split_sha256": self.split_sha256,
            "seen_in_training": self.seen,
        }


def evaluate_model(
    path: Path, options: EvaluationOptions, settings: dict[str, Any], command: str
) -> str:
    """Evaluates a model and writes the folder of its report.

    Args:
        path: A run folder, or a `.keras` file.
        options: How.
        settings: The data options that were given, by their names in the configuration; of a run
            none is needed.
        command: The command line, which the report names.

    Returns:
        What came out, in a line.

    Raises:
        ValueError, OSError: The model, the images or an option cannot be used; the message says
            what to do.
        FloatingPointError: The model computes values that are not finite.
        RuntimeError: The PDF could not be printed.
    """
    folder = options.out or _default_folder(path, options.against)
    check_folder(folder)
    browser = find_browser() if options.pdf else None
    saved = open_saved(path, options.labels)
    run = None if saved.run is None else TrainedRun.read(saved.run)
    other, other_run = None, None
    if options.against is not None:
        other = open_saved(options.against, options.against_labels)
        other_run = None if other.run is None else TrainedRun.read(other.run)
    if options.out is None:
        check_models(folder, saved, other)
    create_folder(folder)
    images = load_images(saved, run, settings, progress=not options.quiet)
    _check_size(saved, images)
    model = EvaluatedModel.of(saved, run, images.data.classes)
    model.class_ids(images.subset)
    beside = None
    if other is not None:
        _check_size(other, images)
        _check_other(saved, run, other, other_run, images)
        beside = EvaluatedModel.of(other, other_run, images.data.classes, "--against-labels")
        beside.class_ids(images.subset)
        _check_classes(model, beside)
    object_masks = find_object_masks(
        images.data,
        images.subset,
        images.root,
        masks=options.masks,
        boxes=options.boxes,
        positions=heatmap_positions(images.subset, options),
        progress=not options.quiet,
    )
    trained_with = _trained_with(model)
    method = explanation_method(options.method, trained_with)
    results = measure_model(model, images.subset, object_masks, options, method)
    second = None
    if beside is not None:
        second = measure_model(beside, images.subset, object_masks, options, method)
    metrics = build_metrics(
        results,
        data=images.facts(),
        method_reason=_method_reason(options.method, trained_with),
        image_names=images.image_names,
        command=command,
    )
    if second is not None:
        metrics["against"] = compare(results, second)
    findings = derive_findings(metrics)
    metrics["findings"] = [dataclasses.asdict(finding) for finding in findings]
    shown, sheets = failure_cards(results, second, options.batch_size)
    report, charts = build_report(metrics, findings, shown, model.run)
    write_folder(folder, metrics, report, results, images.image_names, charts, sheets, browser)
    lines = [] if images.is_test else [images.told]
    lines += [f"- {finding.text}" for finding in findings]
    return "\n".join([*lines, f"report: {folder / REPORT}"])


def load_images(
    saved: SavedModel, run: TrainedRun | None, settings: dict[str, Any], *, progress: bool
) -> EvaluationImages:
    """The images to evaluate a model on.

    A run has its own test split, also where the options given draw the run's split again. Other
    images are those of the source's test split, if it has one itself, and else all of them: a
    split drawn here would mean nothing to a model that was trained elsewhere.

    Args:
        saved: The model.
        run: Its training; None: not known.
        settings: The data options that were given.
        progress: Shows progress bars.

    Raises:
        ValueError: No data are given for a model that is no run, or they cannot be used.
        OSError: They cannot be read.
    """
    if run is not None:
        config = changed(run.config, settings)
    elif "source" in settings:
        height, width = image_size(saved.model, settings.get("image_size"))
        if height != width:
            raise ValueError(f"Images are squares; the model takes {height} x {width} pixels.")
        config = build_config({**settings, "image_size": height})
    else:
        raise ValueError(f"{saved.file} is no run, so say which images: --data SRC")
    own = None if run is None or settings else run.folder
    data = load_data(config, own, progress=progress)
    if run is not None and (own is not None or _is_own_split(data, run)):
        seen = "The model was not trained on them, nor chosen by them."
        return EvaluationImages(data, data.test, config, seen, run.split_sha256)
    is_given = TEST in data.given_splits
    subset = data.test if is_given else data.all_images()
    seen = (
        "They are the test split that the data came with; whether the model was trained on them is "
        "not known here."
        if is_given
        else "They are all images of the source; some may have been in the model's training."
    )
    return EvaluationImages(data, subset, config, seen, data.split_sha256)


def _is_own_split(data: ImageData, run: TrainedRun) -> bool:
    """Whether the split that was drawn is the run's; its files may be called otherwise now."""
    if data.split_sha256 == run.split_sha256:
        return True
    try:
        SplitTable.load(run.folder).check_matches(data.table)
    except ValueError:
        return False
    return True


def _default_folder(path: Path, against: Path | None) -> Path:
    """Where the report goes if nothing else is said."""
    base = path if path.is_dir() else path.parent
    name = "evaluation" if path.is_dir() else f"{path.stem}_evaluation"
    if against is None:
        return base / name
    other = against.resolve()
    return base / f"{name}_against_{other.name if other.is_dir() else other.stem}"


def _check_size(saved: SavedModel, images: EvaluationImages) -> None:
    height, width = saved.model.input_shape[1:3]
    side = images.data.image_size
    if (height, width) not in ((None, None), (side, side)):
        raise ValueError(
            f"{saved.file} takes images of {height} x {width} pixels, these have {side}. Give "
            f"--image-size {height}."
        )


def _check_other(
    saved: SavedModel,
    run: TrainedRun | None,
    other: SavedModel,
    other_run: TrainedRun | None,
    images: EvaluationImages,
) -> None:
    """Refuses a pair of which one may have been trained on the images, and the other not."""
    split = images.split_sha256
    if run is None and other_run is None:
        return
    if run is not None and other_run is not None and run.split_sha256 == other_run.split_sha256:
        return
    if run is not None and run.split_sha256 != split:
        raise ValueError(
            f"These images have another split than {saved.name} was trained with, and "
            f"{other.name} is no run of that split, so either may have seen more of them than the "
            "other. Leave out the data options: then the run's own test split is answered."
        )
    if other_run is None:
        return
    if other_run.split_sha256 != split:
        raise ValueError(
            f"{other.name} was trained with another split (SHA-256 "
            f"{other_run.split_sha256[:12]}..., not {split[:12]}...), so it may have seen these "
            "images. Train both with the same --data, --split-seed and shares."
        )
    if not images.is_test:
        raise ValueError(
            f"{other.name} was trained on a part of these images. Turn the two round: "
            f"python -m proxy_keras.evaluate {other.name} --against {saved.name}"
        )


def _check_classes(model: EvaluatedModel, other: EvaluatedModel) -> None:
    """Refuses models that cannot be compared, before they answer anything."""
    if model.classes != other.classes:
        raise ValueError(
            f"Both models must answer the same classes in the same order. {model.name}: "
            f"{', '.join(model.classes)}; {other.name}: {', '.join(other.classes)}. Where they "
            "are only called otherwise, give --labels or --against-labels FILE.json."
        )


def _trained_with(model: EvaluatedModel) -> str | None:
    proxy = None if model.run is None else model.run.config.proxy
    return None if proxy is None else proxy.method


def _method_reason(asked: str | None, trained_with: str | None) -> str:
    if asked is not None:
        return "It was asked for."
    if trained_with is None:
        return "It is the usual one."
    return f"The training made its proxies by {trained_with}, so another method is used here."
