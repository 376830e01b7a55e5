"""Cost of a start on a folder of images: the first, which decodes them, and later ones.

Each start is a process of its own; it lists the files, reads the index and draws the split. Imports
are not counted. Decoding alone is a process whose threads decode and hash the same files, and do
nothing else. The first start and decoding alone take turns.

python benchmarks/starting.py [N] [--rounds R] [--folder DIR]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import PIL
from _timing import environment, table
from PIL import Image

FOLDERS = 100
SIDE = 32
WAIT_S = 2.5
"""Files are trusted once they are two seconds old."""

START = """
from proxy_keras.data.image_source import folder_source
from proxy_keras.data.split_draw import draw_split

def run(folder):
    source = folder_source(folder, image_size=32, progress=False)
    draw_split(source.records, seed=0)
"""

DECODE = """
import os
from concurrent.futures import ThreadPoolExecutor
from proxy_keras.data.images import read_image
from proxy_keras.data.records import content_hash

def examine(paths):
    for path in paths:
        content_hash(read_image(path))

def run(folder):
    paths = [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names]
    count = os.cpu_count()
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(examine, [paths[start::count] for start in range(count)]))
"""

TIMED = """
import sys, time
wall, cpu = time.perf_counter(), time.process_time()
run(sys.argv[1])
print(time.perf_counter() - wall, time.process_time() - cpu)
"""


def write_images(folder: Path, count: int) -> None:
    """Write JPEG files of noise, 32 px, in 100 folders."""
    draw = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"class_{number % FOLDERS:02d}" / f"{number:07d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = draw.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path, quality=80)


def timed(code: str, folder: Path, cache: Path) -> tuple[float, float]:
    """Return wall-clock and CPU seconds of `run(folder)` in a process of its own."""
    words = [sys.executable, "-c", code + TIMED, str(folder)]
    variables = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run(words, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    wall_s, cpu_s = map(float, done.stdout.split())
    return wall_s, cpu_s


def measure(folder: Path, rounds: int) -> dict[str, tuple[float, float]]:
    """Return the medians of wall-clock and CPU seconds of decoding, a first and a later start."""
    times: dict[str, list[tuple[float, float]]] = {}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            for name, code in (
                ("decoding alone", DECODE),
                ("first start", START),
                ("second start", START),
            ):
                times.setdefault(name, []).append(timed(code, folder, Path(cache)))
    return {
        name: (statistics.median(w for w, _ in found), statistics.median(c for _, c in found))
        for name, found in times.items()
    }


def result(count: int, times: dict[str, tuple[float, float]]) -> str:
    """Return the table of times and of their ratios."""
    compared = {
        "decoding alone": ("", ""),
        "first start": ("decoding alone", "<= 1.10"),
        "second start": ("first start", "<= 0.05"),
    }
    rows = []
    for name, (wall_s, cpu_s) in times.items():
        other, target = compared[name]
        ratios = ["", ""]
        if other:
            ratios = [f"{wall_s / times[other][0]:.3f}", f"{cpu_s / times[other][1]:.3f}"]
        rows.append([name, f"{wall_s:.2f} s", f"{cpu_s:.2f} s", other, *ratios, target])
    header = ["what", "wall", "CPU", "compared with", "wall ratio", "CPU ratio", "target"]
    return table(f"A start on {count:,} JPEG files of {SIDE} px", rows, header)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=20_000, metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="R")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="where the files are written")
    given = parser.parse_args()
    print(f"{environment()}, pillow {PIL.__version__}")
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        write_images(Path(name), given.count)
        time.sleep(WAIT_S)
        times = measure(Path(name), given.rounds)
    print(result(given.count, times))
    print(f"\nload at the end: {', '.join(f'{x:.1f}' for x in os.getloadavg())}")


if __name__ == "__main__":
    main()
