"""`python -m proxy_keras.demo`: plain training, proxies, their control, and the model in use."""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from proxy_keras.io.program_name import program_name

COMMON = (
    "--data decoy_digits --model resnet20 --epochs 20 --batch-size 32 --flip 0 --rotation 0 "
    "--precision float32"
)


class Arm(NamedTuple):
    """One of the trainings: what it is, for the table, and its options beside the common ones."""

    title: str
    options: str


ARMS: dict[str, Arm] = {
    "plain": Arm("plain training", "--no-proxy"),
    "proxy": Arm("proxies", "--preset shortcut"),
    "random_mask": Arm("control: random masks", "--preset shortcut --control random_mask"),
}


def command(arm: str, out: Path) -> list[str]:
    """The words of the command that trains one arm; run again, it goes on or answers at once."""
    options = f"{COMMON} {ARMS[arm].options}"
    return ["-m", "proxy_keras.train", *options.split(), "--out", str(out / arm), "--resume"]


def serving(out: Path) -> dict[str, list[str]]:
    """The words of the commands that put the model with proxies into use, by what they do."""
    file, pictures, used = out / "proxy.onnx", out / "held_out", out / "predictions"
    return {
        "one ONNX file that explains itself": [
            *("-m", "export", str(out / "proxy"), "--out", str(file)),
            *("--held-out", str(pictures)),
        ],
        "that file on the held-out images, without TensorFlow": [
            *("-m", "serve.predict", str(file), str(pictures), "--quiet"),
            *("--json", str(used / "answers.json"), "--overlay", str(used / "overlays")),
        ],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains the arms, puts one of them into use, and tells of both."""
    parser = argparse.ArgumentParser(
        prog=program_name("proxy_keras.demo"),
        description="Digits in clutter, with a patch that tells of the class in training only: "
        "trained plainly, with proxies, and with random masks; then one of the models as an ONNX "
        "file, on the held-out images.",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), metavar="DIR")
    out: Path = parser.parse_args(arguments).out
    jobs = {ARMS[arm].title: command(arm, out) for arm in ARMS} | serving(out)
    for title, words in jobs.items():
        print(f"\n=== {title}\n$ python {shlex.join(words)}", flush=True)
        code = subprocess.run([sys.executable, *words], check=False).returncode
        if code != 0:
            return code
    print(table(out))
    print(in_use(out))
    return 0


def table(out: Path) -> str:
    """What came out of the three arms, for the screen."""
    lines = ["", f"{'':24} {'val':>7} {'test':>7} {'proxies':>8} {'minutes':>8}"]
    for arm, (title, _) in ARMS.items():
        metrics = json.loads((out / arm / "metrics.json").read_text(encoding="utf-8"))
        lines.append(
            f"{title:24} {metrics['val']['accuracy']:7.1%} {metrics['test']['accuracy']:7.1%} "
            f"{metrics['proxies_made']:8d} {metrics['seconds'] / 60:8.1f}"
        )
    sheets = sorted((out / "proxy" / "sheets").glob("*.png"))
    lines += [
        "",
        "In training and validation images the colour of a patch tells which of two classes it",
        "may be, in test images it tells nothing: the test column is what a network knows of the",
        "digits themselves.",
        "One seed proves nothing, and seeds differ a lot here: compare several.",
        "",
        f"picture of the proxies: {sheets[-1] if sheets else 'no proxies were made'}",
        f"curves, confusion matrix, per-class report: {out / 'proxy'}",
        f"TensorBoard: tensorboard --logdir {out}",
    ]
    return "\n".join(lines)


def in_use(out: Path) -> str:
    """What came out of serving, beside what Keras said, for the screen."""
    answers = json.loads((out / "predictions" / "answers.json").read_text(encoding="utf-8"))
    metrics = json.loads((out / "proxy" / "metrics.json").read_text(encoding="utf-8"))
    served, trained = answers["scores"]["accuracy"], metrics["test"]["accuracy"]
    verdict = "as Keras says" if served == trained else f"but Keras says {trained:.2%}"
    return "\n".join(
        [
            "",
            f"held-out images by ONNX Runtime: {served:.2%} right, {verdict}",
            f"heatmaps over them: {out / 'predictions' / 'overlays'}",
            f"a page to drop images on: python -m serve.server {out / 'proxy.onnx'}",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
