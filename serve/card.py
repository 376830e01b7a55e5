"""ModelCard: what export wrote into an ONNX file about the model in it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FORMAT_VERSION = "1"
RESIZE_RULE = "stretch_bilinear_antialiased"
VALUE_RANGE = [0, 255]
NO_EXPLANATION = "none"
PRECISIONS = ("fp32", "fp16", "int8")


@dataclass(frozen=True)
class ModelCard:
    """What is known of a model beside its arithmetic.

    Attributes:
        name: The network's name, e.g. "resnet18".
        labels: [K] class names by class id; two classes may share a name.
        image_size: (height, width) in pixels that images are resized to.
        explain: How heatmaps are made, e.g. "grad_cam"; "none": the file has none.
        target_layer: The layer that heatmaps are of; None without heatmaps.
        precision: "fp32", "fp16" or "int8".
        split_sha256: SHA-256 of the split.csv that the model was trained with, if known.
        test_accuracy: Share of the test split classified right, in [0, 1], if known.
        versions: Version of each library that the file was made with.
    """

    name: str
    labels: tuple[str, ...]
    image_size: tuple[int, int]
    explain: str
    target_layer: str | None
    precision: str
    split_sha256: str | None
    test_accuracy: float | None
    versions: dict[str, str]

    @property
    def has_heatmap(self) -> bool:
        """Whether the model answers with heatmaps too."""
        return self.explain != NO_EXPLANATION

    @classmethod
    def from_metadata(
        cls, metadata: Mapping[str, str], *, path: str | os.PathLike[str]
    ) -> ModelCard:
        """The card that a file's metadata hold.

        Args:
            metadata: The file's `metadata_props`.
            path: The file, for messages.

        Raises:
            ValueError: The file was not written by `python -m export`, was written in a way that
                this version does not know, or an entry is missing or no such value.
        """
        reader = _Reader(metadata, os.fspath(path))
        reader.check_format()
        explain = reader.text("explain")
        return cls(
            name=reader.text("name"),
            labels=reader.labels(),
            image_size=reader.image_size(),
            explain=explain,
            target_layer=None if explain == NO_EXPLANATION else reader.text("target_layer"),
            precision=reader.one_of("precision", PRECISIONS),
            split_sha256=metadata.get("split_sha256") or None,
            test_accuracy=reader.share("test_accuracy"),
            versions=reader.versions(),
        )


class _Reader:
    """Entries of the metadata, each checked."""

    def __init__(self, metadata: Mapping[str, str], path: str) -> None:
        self._metadata = metadata
        self._path = path

    def check_format(self) -> None:
        """Returns if the file is of the format, and images are prepared by the rule, known here."""
        if "format_version" not in self._metadata:
            raise ValueError(
                f"{self._path!r} was not written by `python -m export`: it says neither its class "
                "names nor its image size. Export the model: python -m export MODEL.keras --out "
                "FILE.onnx"
            )
        known = {
            "format_version": FORMAT_VERSION,
            "resize_rule": RESIZE_RULE,
        }
        for key, value in known.items():
            found = self.text(key)
            if found != value:
                raise ValueError(
                    f"{self._path!r} has the {key} {found!r}, and this version knows {value!r} "
                    "only. Use the version of this project that wrote the file, or export the "
                    "model again."
                )
        if self._json("value_range") != VALUE_RANGE:
            raise self._wrong("value_range", "[0, 255]: images are passed on as they are decoded")

    def text(self, key: str) -> str:
        """An entry that must be there."""
        if not (value := self._metadata.get(key)):
            raise ValueError(
                f"{self._path!r} lacks {key!r} in its metadata. Export the model again."
            )
        return value

    def one_of(self, key: str, known: tuple[str, ...]) -> str:
        """An entry that must be one of those known."""
        value = self.text(key)
        if value not in known:
            raise self._wrong(key, f"one of {', '.join(known)}")
        return value

    def labels(self) -> tuple[str, ...]:
        """The class names."""
        labels = self._json("labels")
        if not isinstance(labels, list) or not labels or not _all_text(labels):
            raise self._wrong("labels", 'a list of class names, e.g. ["cat", "dog"]')
        return tuple(labels)

    def image_size(self) -> tuple[int, int]:
        """(height, width)."""
        size = self._json("image_size")
        # To Python, JSON's true would be a whole number too.
        is_list = isinstance(size, list) and all(type(side) is int and side >= 1 for side in size)
        if not is_list or len(size) != 2:
            raise self._wrong("image_size", "[height, width] in pixels, e.g. [224, 224]")
        return size[0], size[1]

    def share(self, key: str) -> float | None:
        """An entry in [0, 1], if it is there."""
        if not (text := self._metadata.get(key)):
            return None
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not 0.0 <= value <= 1.0:
            raise self._wrong(key, "a number in [0, 1]")
        return value

    def versions(self) -> dict[str, str]:
        """Versions by library."""
        versions = self._json("versions")
        if not isinstance(versions, dict) or not _all_text(versions.values()):
            raise self._wrong("versions", 'versions by library, e.g. {"keras": "3.15.1"}')
        return versions

    def _json(self, key: str) -> Any:
        try:
            return json.loads(self.text(key))
        except json.JSONDecodeError as error:
            raise self._wrong(key, "JSON") from error

    def _wrong(self, key: str, rule: str) -> ValueError:
        return ValueError(
            f"In the metadata of {self._path!r}, {key} must be {rule}. Received: "
            f"{self._metadata[key]!r}. Export the model again."
        )


def _all_text(values: Any) -> bool:
    return all(isinstance(value, str) for value in values)
