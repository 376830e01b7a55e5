"""The content of `metrics.json`, as `metrics.schema.json` describes it."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Sequence
from importlib import metadata, resources
from typing import Any

from proxy_keras.evaluating.findings import Finding
from proxy_keras.evaluating.model_results import Examination

SCHEMA_VERSION = 1
LIBRARIES = ("keras", "tensorflow", "numpy", "scipy", "scikit-learn", "pillow")


def schema_text() -> str:
    """The JSON Schema of `metrics.json`."""
    page = resources.files("proxy_keras.evaluating") / "page"
    return (page / "metrics.schema.json").read_text(encoding="utf-8")


def numbers(
    done: Examination,
    *,
    data: dict[str, Any],
    why_method: str,
    image_names: list[str],
    command: str,
) -> dict[str, Any]:
    """All but `findings` and `against`.

    Args:
        done: The examination.
        data: `data` of the file.
        why_method: A sentence: why this attribution method.
        image_names: Of the split's images.
        command: The command that made it.
    """
    subject, heat = done.subject, done.heatmaps
    return {
        "schema_version": SCHEMA_VERSION,
        "model": {
            "name": subject.name,
            "sha256": subject.sha256,
            "parameters": subject.model.count_params(),
            "classes": subject.classes,
            "names_assumed": subject.names_assumed,
        },
        "data": data,
        "classification": done.classification(),
        "calibration": done.calibration.to_dict(),
        "robustness": None if done.robustness is None else done.robustness.to_dict(),
        "heatmaps": None if heat is None else {**heat.to_dict(seed=done.seed), "why": why_method},
        "mistakes": done.mistakes(image_names),
        "made_with": {
            "command": command,
            "seed": done.seed,
            "versions": {
                "python": platform.python_version(),
                **{name: metadata.version(name) for name in LIBRARIES},
            },
        },
    }


def as_values(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """`findings` of the file."""
    return [dataclasses.asdict(finding) for finding in findings]
