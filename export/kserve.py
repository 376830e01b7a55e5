"""Writes the manifest that lets KServe serve a model repository with Triton."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import onnx
import yaml

from proxy_keras.io.atomic_files import write_text_atomically

STORAGE_URI = "pvc://model-repository"


def write_inference_service(file: Path, manifest: Path, *, storage_uri: str = STORAGE_URI) -> None:
    """Writes a KServe InferenceService for an exported file.

    Args:
        file: An ONNX file that `export_model` wrote.
        manifest: Where the YAML file is to be.
        storage_uri: Where the cluster finds the model repository that `write_model_repository`
            wrote: "s3://...", "gs://...", "pvc://CLAIM/PATH", ...

    Raises:
        ValueError: `storage_uri` is no URI.
    """
    check_storage_uri(storage_uri)
    card = {item.key: item.value for item in onnx.load(file).metadata_props}
    known = {key: card[key] for key in ("explain", "precision", "split_sha256") if key in card}
    service: dict[str, Any] = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": _resource_name(card["name"]),
            "annotations": {f"proxy-attention/{key}": value for key, value in known.items()},
        },
        "spec": {
            "predictor": {
                "model": {
                    "modelFormat": {"name": "onnx"},
                    "runtime": "kserve-tritonserver",
                    "protocolVersion": "v2",
                    "storageUri": storage_uri,
                    "resources": {
                        "requests": {"cpu": "2", "memory": "2Gi"},
                        "limits": {"cpu": "2", "memory": "2Gi"},
                    },
                }
            }
        },
    }
    manifest.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(manifest, yaml.safe_dump(service, sort_keys=False))


def check_storage_uri(storage_uri: str) -> None:
    """Checks the form of a storage URI.

    Raises:
        ValueError: It is no URI.
    """
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*://\S+", storage_uri):
        raise ValueError(
            "The storage URI says where the cluster finds the model repository, e.g. "
            f"s3://bucket/models. Received: {storage_uri!r}"
        )


def _resource_name(name: str) -> str:
    """The name as Kubernetes takes it: lower case, digits and dashes, at most 63 characters."""
    cleaned = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    # A service's name begins with a letter.
    return (cleaned if cleaned[:1].isalpha() else f"model-{cleaned}")[:63].rstrip("-")
