"""`python -m proxy_keras.demo`: training with and without proxies, a control, and serving."""

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
    """A training run: its title in the table, and its options in addition to `COMMON`."""

    title: str
    options: str


ARMS: dict[str, Arm] = {
    "plain": Arm("plain training", "--no-proxy"),
    "proxy": Arm("proxies", "--preset shortcut"),
    "random_mask": Arm("control: random masks", "--preset shortcut --control random_mask"),
}


def command(arm: str, out: Path) -> list[str]:
    """Return the arguments that train one arm, or resume it."""
    options = f"{COMMON} {ARMS[arm].options}"
    return ["-m", "proxy_keras.train", *options.split(), "--out", str(out / arm), "--resume"]


def serving_commands(out: Path) -> dict[str, list[str]]:
    """Return the arguments that export the model with proxies and run it, by title."""
    file, images, results = out / "proxy.onnx", out / "held_out", out / "predictions"
    return {
        "export to ONNX, with heatmaps": [
            *("-m", "export", str(out / "proxy"), "--out", str(file)),
            *("--held-out", str(images)),
        ],
        "predict the held-out images, without TensorFlow": [
            *("-m", "serve.predict", str(file), str(images), "--quiet"),
            *("--json", str(results / "answers.json"), "--overlay", str(results / "overlays")),
        ],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Train the arms, export and run one of the models, and print the results."""
    parser = argparse.ArgumentParser(
        prog=program_name("proxy_keras.demo"),
        description="Train on cluttered digits with a decoy patch that hints at the class in "
        "training only: without proxies, with proxies, and with random masks. Then export the "
        "model with proxies to ONNX and run it on the held-out images.",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), metavar="DIR")
    out: Path = parser.parse_args(arguments).out
    jobs = {ARMS[arm].title: command(arm, out) for arm in ARMS} | serving_commands(out)
    for title, command_line in jobs.items():
        print(f"\n=== {title}\n$ python {shlex.join(command_line)}", flush=True)
        code = subprocess.run([sys.executable, *command_line], check=False).returncode
        if code != 0:
            return code
    print(results_table(out))
    print(serving_results(out))
    return 0


def results_table(out: Path) -> str:
    """Return the results of the three arms."""
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
        "In training and validation images the colour of a patch narrows the class down to two;",
        "in test images it is random. Test accuracy thus shows what a model learned about the",
        "digits themselves.",
        "One seed proves nothing, and results vary a lot between seeds here: compare several.",
        "",
        f"picture of the proxies: {sheets[-1] if sheets else 'no proxies were made'}",
        f"curves, confusion matrix, per-class report: {out / 'proxy'}",
        f"TensorBoard: tensorboard --logdir {out}",
    ]
    return "\n".join(lines)


def serving_results(out: Path) -> str:
    """Return the accuracy under ONNX Runtime, compared with Keras."""
    answers = json.loads((out / "predictions" / "answers.json").read_text(encoding="utf-8"))
    metrics = json.loads((out / "proxy" / "metrics.json").read_text(encoding="utf-8"))
    served, trained = answers["scores"]["accuracy"], metrics["test"]["accuracy"]
    verdict = "same as Keras" if served == trained else f"but {trained:.2%} in Keras"
    return "\n".join(
        [
            "",
            f"ONNX Runtime on the held-out images: {served:.2%} accuracy, {verdict}",
            f"heatmap overlays: {out / 'predictions' / 'overlays'}",
            f"web page for your own images: python -m serve.server {out / 'proxy.onnx'}",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
