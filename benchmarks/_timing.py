"""Timing of functions in turn within one run, so that ratios hold on a noisy machine."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata


@dataclass(frozen=True)
class Timing:
    """Medians over rounds: wall-clock and CPU seconds of one call."""

    wall_s: float
    cpu_s: float


def interleaved(
    functions: Mapping[str, Callable[[], object]], *, rounds: int, warm_up: int = 1
) -> dict[str, Timing]:
    """Return the timing of each function; every round calls each of them once, in turn."""
    for function in functions.values():
        for _ in range(warm_up):
            function()
    walls: dict[str, list[float]] = {name: [] for name in functions}
    cpus: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            wall, cpu = time.perf_counter(), time.process_time()
            function()
            walls[name].append(time.perf_counter() - wall)
            cpus[name].append(time.process_time() - cpu)
    return {
        name: Timing(statistics.median(walls[name]), statistics.median(cpus[name]))
        for name in functions
    }


def environment() -> str:
    """Return a line with machine and versions, to print above the tables."""
    versions = ", ".join(
        f"{name} {metadata.version(name)}" for name in ("tensorflow", "keras", "tf-keras-vis")
    )
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    return (
        f"{os.cpu_count()} processors ({platform.machine()}), load {load} (1, 5, 15 min); "
        f"Python {platform.python_version()}, {versions}"
    )


def table(title: str, rows: list[list[str]], header: list[str]) -> str:
    """Return a Markdown table with a heading."""
    lines = [f"\n### {title}\n", "| " + " | ".join(header) + " |"]
    lines.append("|" + "|".join("---" for _ in header) + "|")
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)
