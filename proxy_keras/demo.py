"""`python -m proxy_keras.demo`: a network that looks at the wrong thing, and how it is mended."""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from proxy_keras.io.program_name import program_name

COMMON = (
    "--data decoy_digits --model resnet20 --epochs 20 --batch-size 32 --flip 0 --rotation 0 "
    "--precision float32"
)
TICKING = "--tick-outside 0.35 --object-share 0.1"
MAX_TICKED = 0.5

ARMS = {
    "plain": "plain training",
    "mended": "its cues spread",
    "random_mask": "control: random masks",
}
"""Folder of each run, and its title in the table."""


def commands(out: Path) -> dict[str, list[str]]:
    """Return the arguments of each step, by title. Runs that have finished are not repeated."""
    train = ["-m", "proxy_keras.train", *COMMON.split(), "--resume", "--quiet"]
    mend = [*train, "--cues", str(out / "plain" / "cues")]
    return {
        "a network that is trained plainly": [*train, "--no-proxy", "--out", str(out / "plain")],
        "what it looks at: cues outside the digit are ticked, by boxes of a tenth of the images": [
            *("-m", "proxy_keras.cues", str(out / "plain"), *TICKING.split(), "--quiet"),
        ],
        "trained without that": [*mend, "--out", str(out / "mended")],
        "control: the same masks in other places": [
            *(*mend, "--control", "random_mask", "--out", str(out / "random_mask")),
        ],
        **{title: words for run in ("plain", "mended") for title, words in _serving(out, run)},
    }


def _serving(out: Path, run: str) -> list[tuple[str, list[str]]]:
    """Return the steps that export a network and answer the test images with it."""
    file, images = str(out / f"{run}.onnx"), str(out / "held_out")
    answers = ["--json", str(_answers_file(out, run)), "--quiet"]
    if run == "plain":
        held_out, mark = ["--held-out", images], ["--max-ticked", str(MAX_TICKED)]
    else:
        held_out, mark = [], []
    return [
        (
            f"the {run} network as an ONNX file",
            ["-m", "export", str(out / run), "--out", file, *held_out],
        ),
        (
            f"its answers, without TensorFlow ({run})",
            ["-m", "serve.predict", file, images, *mark, *answers],
        ),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all steps, and print the results."""
    parser = argparse.ArgumentParser(
        prog=program_name("proxy_keras.demo"),
        description="Train on digits in clutter, with a coloured patch that hints at the class in "
        "training only. Find what the network looks at, tick what is not the digit, and train "
        "without that; and with the same masks in other places. Then export the networks to ONNX "
        "and answer the test images.",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), metavar="DIR")
    out: Path = parser.parse_args(arguments).out
    for title, words in commands(out).items():
        print(f"\n=== {title}\n$ python {shlex.join(words)}", flush=True)
        code = subprocess.run([sys.executable, *words], check=False).returncode
        if code != 0:
            return code
    print(results(out))
    return 0


def results(out: Path) -> str:
    """Return the table, what the marks are worth, and where to look."""
    return "\n".join(
        [
            "",
            *_table(out),
            "",
            "In training and validation images, the colour of a patch narrows the class down to",
            "two; in test images it is random. So test accuracy shows what a network learned about",
            "the digits. Known here were the boxes of a tenth of the training images; with images",
            "of your own, you tick the cues on a page: python -m proxy_keras.cues RUN --page",
            "This is one seed, which proves nothing: see docs/studies for several.",
            "",
            _marks(out),
            "",
            f"pictures (original, ticked cues, proxy): {out / 'mended' / 'sheets'}",
            f"what the plain network looks at:         {out / 'plain' / 'cues' / 'cues.html'}",
            f"tick for yourself: python -m proxy_keras.cues {out / 'plain'} --page",
            f"did it stop looking? python -m proxy_keras.evaluate {out / 'mended'} --against "
            f"{out / 'plain'}",
        ]
    )


def _table(out: Path) -> list[str]:
    lines = [f"{'':24} {'val':>7} {'test':>7} {'ONNX':>7} {'minutes':>8}"]
    for run, title in ARMS.items():
        metrics = _json(out / run / "metrics.json")
        answers = _answers_file(out, run)
        served = f"{_json(answers)['scores']['accuracy']:7.1%}" if answers.is_file() else f"{'':7}"
        lines.append(
            f"{title:24} {metrics['val']['accuracy']:7.1%} {metrics['test']['accuracy']:7.1%} "
            f"{served} {metrics['seconds'] / 60:8.1f}"
        )
    return lines


def _marks(out: Path) -> str:
    """Return how often answers of the plain network are right that rest on what was ticked."""
    answers = _json(_answers_file(out, "plain"))["files"]
    right: dict[bool, list[bool]] = {True: [], False: []}
    for answer in answers:
        right[answer["marked"]].append(answer["top"][0]["class"] == answer["label"])
    marked, others = (_share(right[is_marked]) for is_marked in (True, False))
    return (
        f"Of the plain network's {len(answers)} answers on test images, {len(right[True])} rest by "
        f"more than {MAX_TICKED:.0%} on what\nwas ticked: {marked} of them are right, and {others} "
        "of the others."
    )


def _share(is_right: Sequence[bool]) -> str:
    return f"{sum(is_right) / len(is_right):.0%}" if is_right else "none"


def _answers_file(out: Path, run: str) -> Path:
    return out / f"{run}_answers.json"


def _json(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main())
