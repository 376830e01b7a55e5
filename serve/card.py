"""The model card: the metadata that export writes into an ONNX file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

FORMAT_VERSION = "1"
RESIZE_RULE = "stretch_bilinear_antialiased"
VALUE_RANGE = [0, 255]
NO_EXPLANATION = "none"
PRECISIONS = ("fp32", "fp16", "int8")


@dataclass(frozen=True)
class Cue:
    """A cue: one of the things that the network looks at.

    Attributes:
        name: Its name, e.g. "3" or "3b".
        ticked: Whether a person or a rule said that it is not the object.
        description: One line about it.
    """

    name: str
    ticked: bool
    description: str


@dataclass(frozen=True)
class ModelCard:
    """Metadata of a model.

    Attributes:
        name: The network's name, e.g. "resnet18".
        labels: [K] class names by class id; two classes may share a name.
        image_size: (height, width) that images are resized to, in pixels.
        explain: Method of the heatmaps, e.g. "grad_cam"; "none" if there are none.
        target_layer: Target layer of the heatmaps; None without heatmaps.
        precision: "fp32", "fp16" or "int8".
        split_sha256: SHA-256 of the split.csv that the model was trained with, if known.
        test_accuracy: Accuracy on the test split, in [0, 1], if known.
        versions: Version of each library used by export.
        cues: The cues of the columns of the output `cues`; empty if the model has none.
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
    cues: tuple[Cue, ...] = ()

    @property
    def has_heatmap(self) -> bool:
        """Whether the model outputs heatmaps."""
        return self.explain != NO_EXPLANATION

    @classmethod
    def from_metadata(
        cls, metadata: Mapping[str, str], *, path: str | os.PathLike[str]
    ) -> ModelCard:
        """Read the card from a file's metadata.

        Args:
            metadata: The file's `metadata_props`.
            path: The file, for messages.

        Raises:
            ValueError: The file was not written by `python -m export`, has an unknown format
                version, or an entry is missing or invalid.
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
            cues=reader.cues(),
        )


class _Reader:
    """A reader that checks each entry of the metadata."""

    def __init__(self, metadata: Mapping[str, str], path: str) -> None:
        self._metadata = metadata
        self._path = path

    def check_format(self) -> None:
        """Check that the file's format and image preprocessing are known."""
        if "format_version" not in self._metadata:
            raise ValueError(
                f"{self._path!r} was not written by `python -m export`: it has no metadata such as "
                "class names and image size. Export the model: python -m export MODEL.keras --out "
                "FILE.onnx"
            )
        for key, value in ("format_version", FORMAT_VERSION), ("resize_rule", RESIZE_RULE):
            found = self.text(key)
            if found != value:
                raise ValueError(
                    f"{self._path!r} has the {key} {found!r}, but this version supports only "
                    f"{value!r}. Use the version of this project that wrote the file, or export "
                    "the model again."
                )
        if self._json("value_range") != VALUE_RANGE:
            raise self._wrong("value_range", "[0, 255]: images are not rescaled")

    def text(self, key: str) -> str:
        """Return a required entry."""
        if not (value := self._metadata.get(key)):
            raise ValueError(
                f"{self._path!r} has no {key!r} in its metadata. Export the model again."
            )
        return value

    def one_of(self, key: str, known: tuple[str, ...]) -> str:
        """Return an entry that must be one of the known values."""
        value = self.text(key)
        if value not in known:
            raise self._wrong(key, f"one of {', '.join(known)}")
        return value

    def labels(self) -> tuple[str, ...]:
        """Return the class names."""
        labels = self._json("labels")
        if not isinstance(labels, list) or not labels or not _all_text(labels):
            raise self._wrong("labels", 'a list of class names, e.g. ["cat", "dog"]')
        return tuple(labels)

    def image_size(self) -> tuple[int, int]:
        """Return (height, width)."""
        size = self._json("image_size")
        # In Python, a bool is an int too.
        is_list = isinstance(size, list) and all(type(side) is int and side >= 1 for side in size)
        if not is_list or len(size) != 2:
            raise self._wrong("image_size", "[height, width] in pixels, e.g. [224, 224]")
        return size[0], size[1]

    def share(self, key: str) -> float | None:
        """Return an optional entry in [0, 1]."""
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
        """Return the versions by library."""
        versions = self._json("versions")
        if not isinstance(versions, dict) or not _all_text(versions.values()):
            raise self._wrong("versions", 'versions by library, e.g. {"keras": "3.15.1"}')
        return versions

    def cues(self) -> tuple[Cue, ...]:
        """Return the cues; none if there is no such entry."""
        if "cues" not in self._metadata:
            return ()
        entries = self._json("cues")
        if not isinstance(entries, list) or not entries or not all(map(_is_cue, entries)):
            raise self._wrong(
                "cues", 'a list such as [{"name": "3", "ticked": true, "description": "..."}]'
            )
        cues = tuple(
            Cue(**{field.name: entry[field.name] for field in fields(Cue)}) for entry in entries
        )
        if len({cue.name for cue in cues}) != len(cues):
            raise self._wrong("cues", "a list of cues with different names")
        return cues

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


def _is_cue(entry: Any) -> bool:
    kinds = {"name": str, "ticked": bool, "description": str}
    return isinstance(entry, dict) and all(
        isinstance(entry.get(key), kind) for key, kind in kinds.items()
    )


def _all_text(values: Any) -> bool:
    return all(isinstance(value, str) for value in values)
