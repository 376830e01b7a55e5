"""Throughput benchmark: images per second for the whole pipeline and its parts."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import cycle, islice

import numpy as np
import onnxruntime
import PIL

from serve.cpus import available_cpus
from serve.files import ImageFile
from serve.images import UnreadableImageError
from serve.model import Model
from serve.stream import predict_files

ROUNDS = 5
_BATCHES_A_ROUND = 8


@dataclass
class Throughput:
    """Images per second in each round, without the warm-up round.

    Attributes:
        images: Number of images in a round.
        skipped: Number of files skipped because they are not usable images.
        whole: From files to answers, as in `serve.predict`.
        decoding: From files to images only, in the threads.
        session: From images to answers only.
    """

    images: int
    skipped: int
    whole: list[float] = field(default_factory=list)
    decoding: list[float] = field(default_factory=list)
    session: list[float] = field(default_factory=list)


def measure(
    model: Model,
    files: Sequence[ImageFile],
    *,
    batch_size: int,
    workers: int,
    rounds: int = ROUNDS,
) -> Throughput:
    """Measure the throughput of a model.

    A round is eight batches of the first files, repeated if there are fewer, so that they are read
    from the system's cache. The three measurements alternate.

    Args:
        model: The model to run.
        files: The images.
        batch_size: Images per run of the session.
        workers: Threads that decode.
        rounds: Number of rounds after the warm-up.

    Raises:
        ValueError: None of the files can be used.
    """
    first = files[: _BATCHES_A_ROUND * batch_size]
    sample = [file for file in first if _is_usable(model, file)]
    if not sample:
        raise ValueError("None of the files is a usable image: nothing to measure with.")
    work = list(islice(cycle(sample), _BATCHES_A_ROUND * batch_size))
    batch = np.stack([model.read(file.path) for file in work[:batch_size]])
    throughput = Throughput(len(work), len(first) - len(sample))
    for number in range(rounds + 1):
        began = time.perf_counter()
        for _ in predict_files(model, work, k=1, batch_size=batch_size, workers=workers):
            pass
        whole = time.perf_counter()
        with ThreadPoolExecutor(workers) as pool:
            for _ in pool.map(lambda file: model.read(file.path), work):
                pass
        decoded = time.perf_counter()
        for _ in range(_BATCHES_A_ROUND):
            model.run(batch)
        ended = time.perf_counter()
        if number > 0:
            throughput.whole.append(len(work) / (whole - began))
            throughput.decoding.append(len(work) / (decoded - whole))
            throughput.session.append(len(work) / (ended - decoded))
    return throughput


def to_text(throughput: Throughput, model: Model, *, batch_size: int, workers: int) -> str:
    """Format the throughput and the conditions of the measurement for the screen."""
    card = model.card
    parts = {
        "files to answers": throughput.whole,
        "decoding only": throughput.decoding,
        "session only": throughput.session,
    }
    lines = [f"{'images per second':18} {'median':>8} {'slowest':>8} {'fastest':>8}"]
    lines += [
        f"{name:18} {statistics.median(rates):8.1f} {min(rates):8.1f} {max(rates):8.1f}"
        for name, rates in parts.items()
    ]
    height, width = card.image_size
    system = f"{platform.system()} {platform.machine()}, {available_cpus()} CPUs"
    if hasattr(os, "getloadavg"):
        system += ", load average " + " ".join(f"{load:.2f}" for load in os.getloadavg())
    if throughput.skipped:
        lines.append(f"skipped: {throughput.skipped} files that are not usable images")
    lines += [
        "",
        f"{len(throughput.whole)} rounds of {throughput.images} images, batches of {batch_size}, "
        f"{workers} decoding threads",
        f"{card.name}, {card.precision}, {height} x {width} pixels, heatmaps: {card.explain}, "
        f"{model.device_note}",
        f"Python {platform.python_version()}, ONNX Runtime {onnxruntime.__version__}, "
        f"NumPy {np.__version__}, Pillow {PIL.__version__}",
        system,
    ]
    return "\n".join(lines)


def _is_usable(model: Model, file: ImageFile) -> bool:
    try:
        model.read(file.path)
    except (UnreadableImageError, OSError):
        return False
    return True
