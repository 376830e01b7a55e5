"""The pictures of cues, kept in `pictures.json` so that ticking needs no images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from proxy_keras.cues.pictures import Picture
from proxy_keras.io.atomic_files import write_text_atomically

PICTURES_FILE = "pictures.json"


def save_pictures(folder: Path, pictures: Mapping[str, list[Picture]]) -> None:
    """Write pictures by the name of their cue."""
    content = {
        "cues_sha256": _sha256(folder),
        "pictures": {name: [asdict(one) for one in of] for name, of in pictures.items()},
    }
    write_text_atomically(folder / PICTURES_FILE, json.dumps(content) + "\n")


def load_pictures(folder: Path) -> dict[str, list[Picture]] | None:
    """Return the pictures; None if there are none of these cues, or the file is damaged.

    They are only a copy, so a damaged file is drawn again rather than refused.
    """
    try:
        content = json.loads((folder / PICTURES_FILE).read_text(encoding="utf-8"))
        if content["cues_sha256"] != _sha256(folder):
            return None
        return {
            name: [_picture(values) for values in of] for name, of in content["pictures"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _picture(values: dict[str, object]) -> Picture:
    picture = Picture(**values)  # type: ignore[arg-type]
    for uri in (picture.crop, picture.image):
        if not uri.startswith("data:image/"):
            raise ValueError(f"Not an image: {uri[:32]!r}")
    return picture


def _sha256(folder: Path) -> str:
    """Return the hash of the clusters and of their images, which decide what is shown."""
    files = (folder / "clusters.npz", folder / "images.npz")
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
