"""Everything that is measured of one model on one split."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from proxy_keras.attribution import Explainer
from proxy_keras.data.data_split import Subset
from proxy_keras.evaluating.bootstrap import Bootstrap, Statistic
from proxy_keras.evaluating.bootstrap_statistics import ClassStatistics, mean_statistic
from proxy_keras.evaluating.calibration import Calibration, negative_log_likelihoods
from proxy_keras.evaluating.evaluated_model import EvaluatedModel
from proxy_keras.evaluating.heatmap_scores import HeatmapScores, score_heatmaps
from proxy_keras.evaluating.mistakes import confused_pairs, heat_outside, worst_mistakes
from proxy_keras.evaluating.object_masks import ObjectMasks
from proxy_keras.evaluating.options import EvaluationOptions
from proxy_keras.evaluating.predictions import Predictions, predict
from proxy_keras.evaluating.proportions import difference_interval, share_interval
from proxy_keras.evaluating.robustness import Robustness, measure_robustness
from proxy_keras.metrics import CompiledClassifier, classification


@dataclass(frozen=True)
class ModelResults:
    """A model's answers to the images of a split, and what they are worth.

    Attributes:
        model: The model.
        subset: The N images.
        predictions: The answers.
        robustness: The answers to corrupted images; None: not asked.
        explainer: Makes its heatmaps; None: no heatmaps are made.
        heatmaps: Their scores; None likewise.
        seed: Keys the bootstrap.
    """

    model: EvaluatedModel
    subset: Subset
    predictions: Predictions
    robustness: Robustness | None
    explainer: Explainer | None
    heatmaps: HeatmapScores | None
    seed: int

    @cached_property
    def scores(self) -> classification.Scores:
        """The classification's scores."""
        given = self.predictions
        return classification.score(given.logits, given.labels.astype(np.int32), self.model.classes)

    @cached_property
    def calibration(self) -> Calibration:
        """How sure the answers are beside how right."""
        return Calibration.of(self.predictions.probabilities, self.predictions.labels)

    @cached_property
    def statistics(self) -> dict[str, Statistic]:
        """The scores that get intervals, by their names in `Scores`."""
        given = self.predictions
        by_class = ClassStatistics(given.labels, given.predicted, len(self.model.classes))
        top = np.argsort(-given.logits, axis=1, kind="stable")[:, :5]
        return {
            "accuracy": mean_statistic(given.is_right),
            "top5": mean_statistic((top == given.labels[:, np.newaxis]).any(axis=1)),
            "loss": mean_statistic(negative_log_likelihoods(given.probabilities, given.labels)),
            "macro_precision": by_class.macro_precision,
            "macro_recall": by_class.macro_recall,
            "macro_f1": by_class.macro_f1,
        }

    @property
    def bootstrap(self) -> Bootstrap:
        """The samples of this split's images."""
        return Bootstrap(len(self.predictions), seed=self.seed)

    def classification(self) -> dict[str, Any]:
        """`classification` of `metrics.json`."""
        intervals = {
            name: self.bootstrap.interval(one).ends for name, one in self.statistics.items()
        }
        # Shares of images have an interval of their own, which also holds for 8 right of 8.
        images = self.scores.examples
        for name in ("accuracy", "top5"):
            hits = round(getattr(self.scores, name) * images)
            intervals[name] = share_interval(hits, images)
        return {**self.scores.to_dict(), "intervals": intervals}

    def mistakes(self, image_names: list[str]) -> dict[str, Any]:
        """`mistakes` of `metrics.json`, with the images' names."""
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
        """Accuracy where the heat lies on the object, and where it avoids it."""
        right = self.predictions.is_right[positions]
        parts = {"inside": is_inside, "outside": ~is_inside}
        told: dict[str, Any] = {
            name: {
                "images": int(chosen.sum()),
                "accuracy": float(right[chosen].mean()) if chosen.any() else None,
            }
            for name, chosen in parts.items()
        }
        if not (is_inside.any() and (~is_inside).any()):
            return {**told, "difference": None, "interval": None}
        return {
            **told,
            "difference": told["inside"]["accuracy"] - told["outside"]["accuracy"],
            "interval": difference_interval(right[is_inside], right[~is_inside]),
        }


def measure_model(
    model: EvaluatedModel,
    subset: Subset,
    object_masks: ObjectMasks | None,
    options: EvaluationOptions,
    method: str,
) -> ModelResults:
    """Lets a model answer the images of a split, as they are and corrupted, and explain itself.

    Args:
        model: The model.
        subset: The images.
        object_masks: Where the objects are; None: not known.
        options: How.
        method: The attribution method.

    Raises:
        ValueError: The images have classes that the model does not know, or the method cannot
            explain it.
        FloatingPointError: The model computes values that are not finite.
    """
    classifier = CompiledClassifier(model.keras_model)
    size, progress, seed = options.batch_size, not options.quiet, options.seed
    labels = model.class_ids(subset)
    predictions = predict(classifier, subset, labels, batch_size=size, progress=progress)
    robustness = None
    if options.corruptions:
        robustness = measure_robustness(
            lambda images: classifier.logits(images, size),
            subset,
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
            subset,
            heatmap_positions(subset, options),
            object_masks=object_masks,
            batch_size=size,
            seed=seed,
            progress=progress,
        )
    return ModelResults(model, subset, predictions, robustness, explainer, heatmaps, seed)


def heatmap_positions(subset: Subset, options: EvaluationOptions) -> Any:
    """[n] int64, ascending: the images whose heatmaps are scored; the same for every model."""
    count = min(options.heat_images, len(subset))
    drawn = np.random.default_rng(options.seed).permutation(len(subset))[:count]
    return np.sort(drawn)
