"""FoundWith: how cues were found, in `found.json` beside them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from proxy_keras.io.atomic_files import write_text_atomically
from proxy_keras.settings import DataConfig
from proxy_keras.ticking.options import FOUND_WITH, CueOptions

FOUND_FILE = "found.json"


@dataclass(frozen=True)
class FoundWith:
    """How cues were found.

    Attributes:
        model: The model's file.
        model_sha256: SHA-256 of that file, in hex.
        data: The settings of the images.
        options: The options that decide which cues are found, by name; see `FOUND_WITH`.
    """

    model: str
    model_sha256: str
    data: DataConfig
    options: dict[str, Any]

    def save(self, folder: Path) -> None:
        """Write the file."""
        text = json.dumps({**asdict(self), "data": self.data.to_dict()}, indent=2) + "\n"
        write_text_atomically(folder / FOUND_FILE, text)

    @classmethod
    def load(cls, folder: Path) -> FoundWith | None:
        """Read the file; None if there is none, as for cues that were saved in Python.

        Raises:
            ValueError: The file is damaged.
        """
        file = folder / FOUND_FILE
        if not file.is_file():
            return None
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
            data = DataConfig.from_dict(values["data"])
            options = {name: values["options"][name] for name in FOUND_WITH}
            found = cls(str(values["model"]), str(values["model_sha256"]), data, options)
            CueOptions(**options)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(
                f"{file} must say how the cues were found. Received: {error}. Restore the file, or "
                "find the cues again: --again"
            ) from error
        return found

    def check(self, folder: Path, sha256: str, given: dict[str, Any]) -> None:
        """Refuse cues of another model, or found with other options than those that were given.

        Args:
            folder: The folder of the cues.
            sha256: SHA-256 of the model.
            given: The options that were given, by name.

        Raises:
            ValueError: They differ.
        """
        way_out = "Find them again with --again, which drops their verdicts, or give another --out."
        if sha256 != self.model_sha256:
            raise ValueError(
                f"The cues in {folder} were found in another model ({self.model}, as it was then). "
                f"{way_out}"
            )
        other = [
            f"--{name.replace('_', '-')} {self.options[name]}"
            for name, value in given.items()
            if name in self.options and self.options[name] != value
        ]
        if other:
            raise ValueError(f"The cues in {folder} were found with {', '.join(other)}. {way_out}")
