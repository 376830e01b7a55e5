"""The default number of threads is the number of cores that the process may use."""

from __future__ import annotations

import os

import pytest

from serve import cpus


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with four cores of two threads each, all allowed."""
    for cpu in range(8):
        folder = tmp_path / "cpu" / f"cpu{cpu}" / "topology"
        folder.mkdir(parents=True)
        (folder / "physical_package_id").write_text(f"{cpu % 4 // 2}\n")
        (folder / "core_id").write_text(f"{cpu % 2}\n")
    (tmp_path / "cgroup").mkdir()
    monkeypatch.setattr(cpus, "_TOPOLOGY", tmp_path / "cpu")
    monkeypatch.setattr(cpus, "_CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(cpus, "_OWN_CGROUPS", tmp_path / "own")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    return tmp_path


def test_two_threads_of_a_core_count_once(machine):
    assert (cpus.available_cpus(), cpus.physical_cores()) == (8, 4)


def test_affinity_counts(machine, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 4, 1})
    assert (cpus.available_cpus(), cpus.physical_cores()) == (3, 2)


def test_without_a_topology_each_cpu_is_a_core(machine, monkeypatch):
    monkeypatch.setattr(cpus, "_TOPOLOGY", machine / "absent")
    assert cpus.physical_cores() == 8


@pytest.mark.parametrize(("limit", "cores"), [("150000 100000", 2), ("max 100000", 4), ("1 9", 1)])
def test_the_limit_of_a_container(machine, limit, cores):
    (machine / "cgroup" / "cpu.max").write_text(f"{limit}\n")
    assert cpus.physical_cores() == cores


def test_the_tightest_limit_of_the_groups_above_holds(machine):
    (machine / "own").write_text("0::/pod/container\n")
    inner = machine / "cgroup" / "pod" / "container"
    inner.mkdir(parents=True)
    (inner / "cpu.max").write_text("max 100000\n")
    (inner.parent / "cpu.max").write_text("200000 100000\n")
    (machine / "cgroup" / "cpu.max").write_text("300000 100000\n")
    assert cpus.physical_cores() == 2


def test_the_limit_of_control_groups_version_1(machine):
    (machine / "own").write_text("4:memory:/x\n3:cpu,cpuacct:/job\n")
    group = machine / "cgroup" / "cpu" / "job"
    group.mkdir(parents=True)
    (group / "cpu.cfs_period_us").write_text("100000\n")
    (group / "cpu.cfs_quota_us").write_text("300000\n")
    assert cpus.physical_cores() == 3
    (group / "cpu.cfs_quota_us").write_text("-1\n")
    assert cpus.physical_cores() == 4


def test_on_this_machine():
    assert 1 <= cpus.physical_cores() <= cpus.available_cpus() <= (os.cpu_count() or 1)
