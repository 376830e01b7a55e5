"""A summary of the data in a few lines for the screen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from proxy_keras.data.records import SPLITS, Record, Skipped
from proxy_keras.data.split_table import SKIPPED_FILE, SplitTable

_SHOWN = 3


def describe(
    table: SplitTable,
    *,
    image_size: int,
    conflicting: Sequence[Sequence[Record]],
    skipped: Sequence[Skipped],
    ignored: Sequence[str],
) -> str:
    """Summarise counts by split, and a line each for missing classes, conflicts and left-out files.

    Args:
        table: The split.
        image_size: Side of the images in pixels.
        conflicting: Groups of records of the same picture under different labels.
        skipped: Images that were left out.
        ignored: Files and folders outside the class folders.
    """
    sizes = ", ".join(f"{split} {len(table.rows(split)):,}" for split in SPLITS)
    lines = [
        f"{len(table):,} images of {len(table.classes)} classes at {image_size} px: {sizes}.",
        f"Split {table.sha256[:16]}.",
    ]
    counts = Counter(zip(table.labels, table.splits, strict=True))
    for split in SPLITS:
        if absent := [name for name in table.classes if not counts[name, split]]:
            lines.append(f"Classes without a {split} image: {len(absent)}: {_few(absent)}.")
    if conflicting:
        same = [" = ".join(record.path for record in group) for group in conflicting]
        lines.append(f"Same picture under different labels: {len(same)}: {_few(same)}.")
    if skipped:
        reasons = [f"{item.path} ({item.reason})" for item in skipped]
        lines.append(f"Skipped, see {SKIPPED_FILE}: {len(reasons)}: {_few(reasons)}.")
    if ignored:
        lines.append(f"Ignored, outside the class folders: {_few(ignored)}.")
    return "\n".join(lines)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
