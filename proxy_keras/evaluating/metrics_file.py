"""The content of `metrics.json`, as described by `metrics.schema.json`."""

from __future__ import annotations

import platform
from importlib import metadata, resources
from typing import Any

from proxy_keras.evaluating.model_results import ModelResults
from proxy_keras.training.selections import LAST

SCHEMA_VERSION = 1
LIBRARIES = ("keras", "tensorflow", "numpy", "scipy", "scikit-learn", "pillow")


def schema_text() -> str:
    """Return the JSON Schema of `metrics.json`."""
    page = resources.files("proxy_keras.evaluating") / "page"
    return (page / "metrics.schema.json").read_text(encoding="utf-8")


def build_metrics(
    results: ModelResults,
    *,
    data: dict[str, Any],
    method_reason: str,
    image_names: list[str],
    command: str,
    cues: dict[str, Any] | None = None,
    ticked_cues: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return everything but `findings` and `against`.

    Args:
        results: Results of the model.
        data: The value of `data`.
        method_reason: A sentence on the choice of the attribution method.
        image_names: Names of the split's images.
        command: The command line of the evaluation.
        cues: The value of `cues`; None: left out.
        ticked_cues: The value of `ticked_cues`; None: nothing is ticked.
    """
    model, heat = results.model, results.heatmaps
    return {
        "schema_version": SCHEMA_VERSION,
        "model": {
            "name": model.name,
            "sha256": model.sha256,
            "parameters": model.keras_model.count_params(),
            "classes": model.classes,
            "names_assumed": model.names_assumed,
            "selection": None if model.run is None else LAST,
        },
        "data": data,
        "classification": results.classification(),
        "groups": None if results.group_accuracy is None else results.group_accuracy.to_dict(),
        "calibration": results.calibration.to_dict(),
        "robustness": None if results.robustness is None else results.robustness.to_dict(),
        "heatmaps": None
        if heat is None
        else {**heat.to_dict(seed=results.seed), "why": method_reason},
        "cues": cues,
        "ticked_cues": ticked_cues,
        "mistakes": results.mistakes(image_names),
        "made_with": {
            "command": command,
            "seed": results.seed,
            "versions": {
                "python": platform.python_version(),
                **{name: metadata.version(name) for name in LIBRARIES},
            },
        },
    }
