"""Metrics of explanations: whether heatmaps show what the classifier looks at."""

from proxy_keras.metrics.accuracy_influence import (
    AccuracyInfluence,
    accuracy_influence,
    evaluate_checkpoints,
)
from proxy_keras.metrics.average_drop import average_drop, average_increase
from proxy_keras.metrics.class_explainer import ClassExplainer
from proxy_keras.metrics.classifier import CompiledClassifier
from proxy_keras.metrics.deletion_insertion import ProbabilityCurves, deletion, insertion
from proxy_keras.metrics.fragility import Fragility, fragility
from proxy_keras.metrics.input_invariance import InputInvariance, input_invariance
from proxy_keras.metrics.localisation import iou, mass_inside, pointing_game
from proxy_keras.metrics.map_similarity import (
    MapSimilarity,
    compare,
    spearman,
    ssim,
    top_k_intersection,
)
from proxy_keras.metrics.mu_fidelity import mu_fidelity
from proxy_keras.metrics.randomised_labels import label_randomisation, train_on_permuted_labels
from proxy_keras.metrics.randomised_parameters import (
    ParameterRandomisation,
    parameter_randomisation,
    weight_layers,
)
from proxy_keras.metrics.stability import Stability, stability

__all__ = [
    "AccuracyInfluence",
    "ClassExplainer",
    "CompiledClassifier",
    "Fragility",
    "InputInvariance",
    "MapSimilarity",
    "ParameterRandomisation",
    "ProbabilityCurves",
    "Stability",
    "accuracy_influence",
    "average_drop",
    "average_increase",
    "compare",
    "deletion",
    "evaluate_checkpoints",
    "fragility",
    "input_invariance",
    "insertion",
    "iou",
    "label_randomisation",
    "mass_inside",
    "mu_fidelity",
    "parameter_randomisation",
    "pointing_game",
    "spearman",
    "ssim",
    "stability",
    "top_k_intersection",
    "train_on_permuted_labels",
    "weight_layers",
]
