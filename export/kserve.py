"""The manifest with which KServe serves a model repository on Triton."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import onnx
import yaml

from export.triton import deployed_name
from proxy_keras.io.atomic_files import write_text_atomically

STORAGE_URI = "pvc://model-repository"

_LONGEST_NAME = 63 - len("-predictor-00001-private")
"""The longest suffix is that of Knative's service for a revision.

A host name is NAME-predictor-NAMESPACE, so that 13 characters are left for the namespace.
"""

_HASH_LENGTH = 8


def write_inference_service(
    file: Path, manifest: Path, *, storage_uri: str = STORAGE_URI, name: str | None = None
) -> None:
    """Write a KServe InferenceService for an exported file.

    Args:
        file: An ONNX file that `export_model` wrote.
        manifest: The YAML file to write.
        name: Name of the service, made valid; None: that of the file.
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
            "name": _resource_name(deployed_name(file, name)),
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
    """Return a name for a service: lower case, digits and dashes, short enough for KServe.

    KServe names what it creates after the service, with longer names, for which Kubernetes allows
    63 characters. A name that is shortened ends in a hash, so that two stay different.
    """
    cleaned = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    # A service name must begin with a letter.
    cleaned = cleaned if cleaned[:1].isalpha() else f"model-{cleaned}".rstrip("-")
    if len(cleaned) <= _LONGEST_NAME:
        return cleaned
    digest = hashlib.sha256(cleaned.encode()).hexdigest()[:_HASH_LENGTH]
    return f"{cleaned[: _LONGEST_NAME - _HASH_LENGTH - 1].rstrip('-')}-{digest}"
