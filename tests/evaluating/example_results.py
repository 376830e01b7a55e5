"""Results with known predictions, of an untrained model that is not saved."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from proxy_keras.data.data_split import DataSplit
from proxy_keras.data.readers import ArrayReader
from proxy_keras.evaluating.evaluated_model import EvaluatedModel
from proxy_keras.evaluating.heatmap_scores import HeatmapScores
from proxy_keras.evaluating.localisation_scores import LocalisationScores
from proxy_keras.evaluating.model_results import ModelResults
from proxy_keras.evaluating.predictions import Predictions
from proxy_keras.evaluating.robustness import Robustness

CLASSES = ["cat", "dog", "owl"]


def logits_of(answers, confidence):
    """Return logits [N, 3] with these confidences of the predictions; the rest is shared evenly."""
    answers, confidence = np.asarray(answers), np.broadcast_to(confidence, len(answers))
    shares = np.repeat((1.0 - confidence[:, None]) / 2.0, 3, axis=1)
    shares[np.arange(len(answers)), answers] = confidence
    return np.log(shares).astype(np.float32)


def localisation(mass, area, pointing=None):
    """Return scores of n objects; all baselines at the centre score 0.5."""
    mass, area = np.asarray(mass, float), np.asarray(area, float)
    half = np.full(len(mass), 0.5)
    hit = np.ones(len(mass), bool) if pointing is None else np.asarray(pointing, bool)
    middle = np.arange(len(mass)) % 2 == 0
    return LocalisationScores(np.arange(len(mass)), hit, mass, half, middle, half, half, area, area)


def heatmap_scores(count, objects=None, better=0.2):
    """Return heatmap scores that beat random heat by `better` in deletion and insertion."""
    half = np.full(count, 0.5)
    return HeatmapScores(
        method="grad_cam",
        target_layer="conv",
        positions=np.arange(count),
        blank=np.arange(count) == 0,
        deletion=half - better,
        insertion=half + better,
        random_deletion=half,
        random_insertion=half,
        objects=objects,
    )


def robustness(right):
    """Return robustness: noise has no effect, blur at severity 3 makes all predictions wrong."""
    right = np.asarray(right, bool)
    noise = np.stack([right] * 3)
    blur = np.stack([right, right, np.zeros_like(right)])
    return Robustness({"noise": noise, "blur": blur})


def results_of_answers(
    labels, answers, confidence=0.9, *, heatmaps=None, robust=None, classes=None, name="made up"
):
    """Return the results of a model with these predictions."""
    labels = np.asarray(labels)
    classes = CLASSES if classes is None else classes
    images = np.zeros([len(labels), 8, 8, 3], np.uint8)
    images[..., 0] = np.arange(len(labels))[:, None, None]
    ids = [f"id{number}" for number in range(len(labels))]
    split = DataSplit(
        ArrayReader(images, 8),
        np.arange(len(labels)),
        labels,
        ids,
        name="test",
        seed=0,
        classes=classes,
    )
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]
    )
    return ModelResults(
        EvaluatedModel(name, model, classes, Path(__file__), None),
        split,
        Predictions(logits_of(answers, confidence), labels),
        robust,
        None,
        heatmaps,
        0,
    )
