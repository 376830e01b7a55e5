"""`python -m proxy_keras.demo`: plain training, proxies and their control on decoy_digits."""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

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


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains the three arms, and prints a table of them and where the pictures are."""
    parser = argparse.ArgumentParser(
        prog="python -m proxy_keras.demo",
        description="Digits in clutter, with a patch that tells of the class in training only: "
        "trained plainly, with proxies, and with random masks.",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), metavar="DIR")
    out: Path = parser.parse_args(arguments).out
    for arm in ARMS:
        words = command(arm, out)
        print(f"\n=== {ARMS[arm].title}\n$ python {shlex.join(words)}", flush=True)
        code = subprocess.run([sys.executable, *words], check=False).returncode
        if code != 0:
            return code
    print(table(out))
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


if __name__ == "__main__":
    sys.exit(main())
