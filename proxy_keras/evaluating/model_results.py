"""All measurements of one model on one split."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from proxy_keras.attribution import Explainer
from proxy_keras.data.data_split import DataSplit
from proxy_keras.data.groups import Groups
from proxy_keras.evaluating.bootstrap import Bootstrap, Statistic
from proxy_keras.evaluating.bootstrap_statistics import (
    ClassStatistics,
    GroupStatistics,
    mean_statistic,
)
from proxy_keras.evaluating.calibration import Calibration
from proxy_keras.evaluating.evaluated_model import EvaluatedModel
from proxy_keras.evaluating.heatmap_scores import HeatmapScores, score_heatmaps
from proxy_keras.evaluating.mistakes import confused_pairs, heat_outside, worst_mistakes
from proxy_keras.evaluating.options import EvaluationOptions
from proxy_keras.evaluating.predictions import Predictions, predict
from proxy_keras.evaluating.proportions import difference_interval, share_interval
from proxy_keras.evaluating.robustness import Robustness, measure_robustness
from proxy_keras.graph.probabilities import cross_entropies
from proxy_keras.metrics import CompiledClassifier, classification
from proxy_keras.metrics.group_accuracy import GroupAccuracy
from proxy_keras.metrics.proportion_intervals import (
    smallest_share_interval,
    weighted_mean_interval,
)
from proxy_keras.objects.object_masks import ObjectMasks


@dataclass(frozen=True)
class ModelResults:
    """Predictions of a model on a split and the scores computed from them.

    Attributes:
        model: The model.
        split: The N images.
        predictions: Predictions on the images.
        robustness: Results on corrupted images; None if not requested.
        explainer: The explainer of the heatmaps; None without heatmaps.
        heatmaps: Scores of the heatmaps; None without heatmaps.
        seed: Seed of the bootstrap.
        training_groups: The groups of the training images; None: unknown.
    """

    model: EvaluatedModel
    split: DataSplit
    predictions: Predictions
    robustness: Robustness | None
    explainer: Explainer | None
    heatmaps: HeatmapScores | None
    seed: int
    training_groups: Groups | None = None

    @cached_property
    def group_accuracy(self) -> GroupAccuracy | None:
        """The accuracy by group; None: the group of no image is known."""
        return GroupAccuracy.of(self.split.groups, self.predictions.is_right, self.training_groups)

    @cached_property
    def group_statistics(self) -> dict[str, Statistic]:
        """The measures of groups, by name in `GroupAccuracy.to_dict`; empty without groups."""
        found, groups = self.group_accuracy, self.split.groups
        if found is None:
            return {}
        by_group = GroupStatistics(groups.ids, self.predictions.is_right, len(groups.names))
        measures: dict[str, Statistic] = {"worst_group_accuracy": by_group.worst_group_accuracy}
        if found.training_shares is not None:
            measures["adjusted_average"] = by_group.adjusted_average(found.training_shares)
        return measures

    @cached_property
    def scores(self) -> classification.Scores:
        """The classification scores."""
        given = self.predictions
        return classification.score(
            given.logits,
            given.labels.astype(np.int32),
            self.model.classes,
            is_multi_label=given.is_multi_label,
        )

    @cached_property
    def calibration(self) -> Calibration:
        """The calibration of the probabilities."""
        given = self.predictions
        return Calibration.of(
            given.probabilities, given.labels, is_multi_label=given.is_multi_label
        )

    @cached_property
    def statistics(self) -> dict[str, Statistic]:
        """The scores that get intervals, by name in `Scores`."""
        given = self.predictions
        by_class = ClassStatistics(given.labels, given.predicted, len(self.model.classes))
        top = np.argsort(-given.logits, axis=1, kind="stable")[:, :5]
        return {
            "accuracy": mean_statistic(given.is_right),
            "top5": mean_statistic((top == given.labels[:, np.newaxis]).any(axis=1)),
            "loss": mean_statistic(
                cross_entropies(given.logits, given.labels, is_multi_label=given.is_multi_label)
            ),
            "balanced_accuracy": by_class.balanced_accuracy,
            "macro_precision": by_class.macro_precision,
            "macro_recall": by_class.macro_recall,
            "macro_f1": by_class.macro_f1,
        }

    @property
    def bootstrap(self) -> Bootstrap:
        """Bootstrap samples of the split's images."""
        return Bootstrap(len(self.predictions), seed=self.seed)

    def classification(self) -> dict[str, Any]:
        """Return `classification` of `metrics.json`."""
        intervals = {
            name: self.bootstrap.interval(one).ends for name, one in self.statistics.items()
        }
        # Wilson intervals of shares also hold where all images agree, e.g. 8 of 8 correct.
        images = self.scores.examples
        for name in ("accuracy", "top5"):
            hits = round(getattr(self.scores, name) * images)
            intervals[name] = share_interval(hits, images)
        right = self.scores.confusion.diagonal()
        of_class = self.scores.confusion.sum(axis=1)
        present = of_class > 0
        intervals["worst_class_accuracy"] = list(
            smallest_share_interval(right[present], of_class[present])
        )
        _, balanced = weighted_mean_interval(right, of_class, present / present.sum())
        intervals["balanced_accuracy"] = list(balanced)
        return {**self.scores.to_dict(), "intervals": intervals}

    def mistakes(self, image_names: list[str]) -> dict[str, Any]:
        """Return `mistakes` of `metrics.json`."""
        given, classes = self.predictions, self.model.classes
        found: dict[str, Any] = {
            "confused_pairs": [
                {
                    "true": classes[pair.true],
                    "predicted": classes[pair.predicted],
                    "images": pair.images,
                    "share": pair.share,
                }
                for pair in confused_pairs(self.scores.confusion)
            ],
            "worst": [
                {
                    "image": image_names[at],
                    "true": classes[given.labels[at]],
                    "predicted": classes[given.predicted[at]],
                    "confidence": float(given.confidence[at]),
                }
                for at in worst_mistakes(given)
            ],
            "heat_outside": [],
            "by_heat": None,
        }
        if self.heatmaps is not None and self.heatmaps.objects is not None:
            objects, inside = self.heatmaps.objects, self.heatmaps.heat_inside
            found["heat_outside"] = [
                {
                    "image": image_names[objects.positions[place]],
                    "inside": float(inside[place]),
                    "area": float(objects.area[place]),
                }
                for place in heat_outside(inside, objects.area)
            ]
            has_heat = np.isfinite(inside)
            is_inside = (inside >= objects.area)[has_heat]
            found["by_heat"] = self._by_heat(objects.positions[has_heat], is_inside)
        return found

    def _by_heat(self, positions: Any, is_inside: Any) -> dict[str, Any]:
        """Return the accuracy of images with heat on the object and of those with heat off it."""
        right = self.predictions.is_right[positions]
        parts = {"inside": is_inside, "outside": ~is_inside}
        groups: dict[str, Any] = {
            name: {
                "images": int(chosen.sum()),
                "accuracy": float(right[chosen].mean()) if chosen.any() else None,
            }
            for name, chosen in parts.items()
        }
        if not (is_inside.any() and (~is_inside).any()):
            return {**groups, "difference": None, "interval": None}
        return {
            **groups,
            "difference": groups["inside"]["accuracy"] - groups["outside"]["accuracy"],
            "interval": difference_interval(right[is_inside], right[~is_inside]),
        }


def measure_model(
    model: EvaluatedModel,
    split: DataSplit,
    object_masks: ObjectMasks | None,
    options: EvaluationOptions,
    method: str,
    training_groups: Groups | None = None,
) -> ModelResults:
    """Classify the images of a split, corrupt them, and score the heatmaps.

    Args:
        model: The model.
        split: The images.
        object_masks: Masks of the objects; None if unknown.
        options: The options of the evaluation.
        method: The attribution method.
        training_groups: The groups of the training images; None: unknown.

    Raises:
        ValueError: The images have classes that the model does not have, or the method cannot
            explain the model.
        FloatingPointError: The model outputs non-finite values.
    """
    classifier = CompiledClassifier(model.keras_model)
    if classifier.is_measured:
        print(f"output of {model.name}: {classifier.output_description}", file=sys.stderr)
    size, progress, seed = options.batch_size, not options.quiet, options.seed
    labels = model.class_ids(split)
    predictions = predict(classifier, split, labels, batch_size=size, progress=progress)
    robustness = None
    if options.corruptions:
        robustness = measure_robustness(
            lambda images: classifier.logits(images, size),
            split,
            labels,
            batch_size=size,
            seed=seed,
            progress=progress,
        )
    explainer, heatmaps = None, None
    if options.heat_images:
        explainer = Explainer(
            model.keras_model, method, target_layer=options.target_layer, **options.method_options
        )
        heatmaps = score_heatmaps(
            explainer,
            classifier,
            split,
            heatmap_positions(split, options),
            object_masks=object_masks,
            batch_size=size,
            seed=seed,
            progress=progress,
        )
    return ModelResults(
        model, split, predictions, robustness, explainer, heatmaps, seed, training_groups
    )


def heatmap_positions(split: DataSplit, options: EvaluationOptions) -> Any:
    """Draw the images whose heatmaps are scored, the same for every model: [n] int64, ascending."""
    count = min(options.heat_images, len(split))
    drawn = np.random.default_rng(options.seed).permutation(len(split))[:count]
    return np.sort(drawn)
