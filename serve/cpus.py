"""The number of CPUs this process may use, by its affinity and its container's limits."""

from __future__ import annotations

import math
import os
from pathlib import Path

_TOPOLOGY = Path("/sys/devices/system/cpu")
_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")


def available_cpus() -> int:
    """Return the number of logical CPUs that this process may use, >= 1."""
    return max(1, min(len(_allowed()), _quota()))


def physical_cores() -> int:
    """Return the number of physical cores that this process may use, >= 1.

    If the system does not report which CPUs share a core, each CPU counts as a core.
    """
    cores = {_core_of(cpu) for cpu in _allowed()}
    return max(1, min(len(cores), _quota()))


def _allowed() -> set[int]:
    # Linux only; elsewhere a process may run on every CPU.
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def _core_of(cpu: int) -> tuple[str, str]:
    folder = _TOPOLOGY / f"cpu{cpu}" / "topology"
    try:
        package = (folder / "physical_package_id").read_text("ascii").strip()
        core = (folder / "core_id").read_text("ascii").strip()
    except OSError:
        return "cpu", str(cpu)
    return package, core


def _quota() -> int:
    """Return the CPU limit of the control groups (v1 and v2), rounded up; a huge number if none."""
    limits = [_limit_of(folder) for folder in _own_folders()]
    return math.ceil(min([limit for limit in limits if limit is not None], default=1 << 16))


def _own_folders() -> list[Path]:
    """Return the folders of this process's control groups and of their parents.

    The root is always included: it is a container's own group.
    """
    folders = [_CGROUPS, _CGROUPS / "cpu"]
    try:
        lines = _OWN_CGROUPS.read_text("utf-8").splitlines()
    except OSError:
        return folders
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = _CGROUPS / "cpu" if controllers else _CGROUPS
        folder = top / path.lstrip("/")
        folders += [folder, *(above for above in folder.parents if above.is_relative_to(top))]
    return folders


def _limit_of(folder: Path) -> float | None:
    """Return the CPU limit of one control group; None if it has none or does not exist."""
    try:
        if (folder / "cpu.max").is_file():
            quota, period = (folder / "cpu.max").read_text("ascii").split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text("ascii").strip()
            period = (folder / "cpu.cfs_period_us").read_text("ascii").strip()
    except OSError:
        return None
    if quota in ("max", "-1"):
        return None
    return int(quota) / int(period)
