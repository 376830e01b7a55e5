"""The manifest with which KServe serves a model repository on Triton."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import onnx
import yaml

from proxy_keras.io.atomic_files import write_text_atomically

STORAGE_URI = "pvc://model-repository"


def write_inference_service(file: Path, manifest: Path, *, storage_uri: str = STORAGE_URI) -> None:
    """Write a KServe InferenceService for an exported file.

    Args:
        file: An ONNX file that `export_model` wrote.
        manifest: The YAML file to write.
        storage_uri: Location of the model repository that `write_model_repository` wrote:
            "s3://...", "gs://...", "pvc://CLAIM/PATH", ...

    Raises:
        ValueError: `storage_uri` is not a URI.
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
    """Raise ValueError if the storage URI is malformed."""
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*://\S+", storage_uri):
        raise ValueError(
            "The storage URI must be the URI of the model repository, e.g. s3://bucket/models. "
            f"Received: {storage_uri!r}"
        )


def _resource_name(name: str) -> str:
    """Return a valid Kubernetes name: lower case, digits and dashes, at most 63 characters."""
    cleaned = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    # A service name must begin with a letter.
    return (cleaned if cleaned[:1].isalpha() else f"model-{cleaned}")[:63].rstrip("-")
