"""Contents of the README and the pages of docs/, for tests that run and read them."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from export import __main__ as export_command
from proxy_keras import evaluate, train, watch
from proxy_keras.explaining import augmentation_gallery, image_files
from proxy_keras.ticking import command as cues_command
from serve import predict_options, server
from tuner import aggregate, study
from tuner.searching import search_options

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md"))}

PARSERS: dict[str, Callable[[], argparse.ArgumentParser]] = {
    "proxy_keras.train": train.build_parser,
    "proxy_keras.cues": cues_command.build_parser,
    "proxy_keras.watch": watch.build_parser,
    "proxy_keras.augment.gallery": augmentation_gallery.build_parser,
    "proxy_keras.evaluate": evaluate.build_parser,
    "proxy_keras.explain": image_files.build_parser,
    "export": export_command.build_parser,
    "serve.predict": predict_options.build_parser,
    "serve.server": server.build_parser,
    "tuner.aggregate": aggregate.build_parser,
    "tuner.search": search_options.build_parser,
    "tuner.study": study.build_parser,
}


def blocks(language: str, page: str) -> list[str]:
    """Return the code blocks of a page in this language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)


def commands(pages: Iterable[str]) -> list[str]:
    """Return the lines `python -m ...` of the pages, each once."""
    lines = [
        line for page in pages for block in blocks("bash", page) for line in block.splitlines()
    ]
    return list(dict.fromkeys(line for line in lines if line.startswith("python -m ")))


def parsed(line: str) -> argparse.Namespace:
    """Return the parsed options of a line `python -m COMMAND ...`."""
    words = shlex.split(line)
    return PARSERS[words[2]]().parse_args(words[3:])


def write_photos(folder: Path, *, each: int = 25) -> None:
    """Write noise images of 50 x 40 px to `folder/cat` and `folder/dog`."""
    draw = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for number in range(each):
            pixels = draw.integers(0, 256, (40, 50, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
