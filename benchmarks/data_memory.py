"""Memory of the data layer for each example of a folder, at a million examples.

Files are made up: what is measured is what a scan of them would keep.

python benchmarks/data_memory.py [EXAMPLES]
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import os
import time
import tracemalloc

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from _timing import environment, table

from proxy_keras.data.file_status import STATUS_SIZE
from proxy_keras.data.image_source import ImageSource
from proxy_keras.data.readers import FileReader
from proxy_keras.data.records import SPLITS, Record
from proxy_keras.data.scanned_files import EXAMINED, ScannedFiles
from proxy_keras.data.split_images import SplitImages

CLASSES = [f"n{number:08d}" for number in range(1000)]
TARGET = 500


def made_up(count: int) -> ImageSource:
    """Return a source with names like those of ImageNet, and random contents."""
    records = []
    for number in range(count):
        name = CLASSES[number % len(CLASSES)]
        records.append(
            Record(
                path=f"train/{name}/{name}_{number:08d}.JPEG",
                label=name,
                split=None,
                content_hash=hashlib.sha256(str(number).encode()).hexdigest(),
                size_bytes=100_000 + number,
            )
        )
    statuses = [number.to_bytes(STATUS_SIZE, "little") for number in range(count)]
    examined = np.zeros(count, EXAMINED)
    paths = [record.path for record in records]
    files = ScannedFiles("/data", paths, statuses, examined, scanned_ns=time.time_ns())
    reader = FileReader(files, 224)
    return ImageSource(records, dict.fromkeys(SPLITS, reader), np.arange(count))


def _traced(what: str, count: int, target: str = "") -> list[str]:
    gc.collect()
    return [what, f"{tracemalloc.get_traced_memory()[0] / count:.0f} bytes", target]


def memory(count: int) -> str:
    """Return what is kept while the data are read, split, and trained on."""
    tracemalloc.start()
    source = made_up(count)
    rows = [_traced("a scan, before the split", count)]
    data = SplitImages(source, seed=0, val=0.1, test=0.1)
    peak = tracemalloc.get_traced_memory()[1] / count
    rows.append(["at most, while the split is drawn", f"{peak:.0f} bytes", ""])
    del source
    rows.append(_traced("the split, its table and its readers", count))
    train = data.train
    train.store.put(
        np.arange(1), np.zeros([1, 7, 7], np.uint8), np.full([1], 0.5, np.float32), epoch=0
    )
    # What an epoch keeps of its order.
    iterator = iter(train.batches(256))
    rows.append(_traced("with a store of proxies, in an epoch", count, f"<= {TARGET}"))
    del iterator
    return table(f"{count:,} image files", rows, ["what", "per example", "target"])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("examples", nargs="?", type=int, default=1_000_000)
    examples = parser.parse_args().examples
    print(environment())
    print(memory(examples))


if __name__ == "__main__":
    main()
