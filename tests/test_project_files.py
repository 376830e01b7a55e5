"""The project's files agree with one another: requirements, extras, lock, licence, citation."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from proxy_keras.cli import COMMANDS
from serve.version import VERSION

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NOT_IN_ALL = {"all", "gpu", "dev"}
ENVIRONMENTS = {
    "linux": {"sys_platform": "linux", "platform_machine": "x86_64"},
    "linux on arm": {"sys_platform": "linux", "platform_machine": "aarch64"},
    "macos": {"sys_platform": "darwin", "platform_machine": "arm64"},
    "windows": {"sys_platform": "win32", "platform_machine": "AMD64"},
}


def requirements(file: str) -> list[Requirement]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-r"))]


def extra(*names: str) -> set[str]:
    """The requirements of extras, with those of the extras that they name."""
    found: set[str] = set()
    for line in (line for name in names for line in PROJECT["optional-dependencies"][name]):
        requirement = Requirement(line)
        own = requirement.name == PROJECT["name"]
        found |= extra(*requirement.extras) if own else {str(requirement)}
    return found


def core() -> set[str]:
    return {str(Requirement(line)) for line in PROJECT["dependencies"]}


def locked() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pins}


def test_the_server_says_the_project_s_version() -> None:
    assert VERSION == PROJECT["version"]


def test_serving_needs_no_tensorflow() -> None:
    assert "tensorflow" not in {r.name for r in requirements("requirements-serve.txt")}


def test_core_and_all_extras_are_the_requirements() -> None:
    named = [name for name in PROJECT["optional-dependencies"] if name not in NOT_IN_ALL]
    everything = {str(requirement) for requirement in requirements("requirements.txt")}
    assert core() | extra(*named) == core() | extra("all") == everything


def test_a_package_has_one_range_everywhere() -> None:
    names = [(Requirement(line).name, Requirement(line).marker) for line in core() | extra("all")]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", ["gpu", "dev", "serve"])
def test_an_extra_is_its_requirements_file(name: str) -> None:
    assert extra(name) == {str(r) for r in requirements(f"requirements-{name}.txt")}


def test_errors_and_commands_name_extras_that_exist() -> None:
    named = {command.extra for command in COMMANDS.values()}
    for package in ("proxy_keras", "tuner", "export"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            named.update(re.findall(r'\b(?:command_)?extra\("(\w+)"', text))
    assert named == set(PROJECT["optional-dependencies"]) - NOT_IN_ALL | {"all"}


def test_the_gpu_s_tensorflow_is_of_the_same_range() -> None:
    (gpu,) = requirements("requirements-gpu.txt")
    plain = next(r for r in map(Requirement, core()) if r.name == "tensorflow")
    assert gpu.specifier == plain.specifier and gpu.extras == {"and-cuda"}


@pytest.mark.parametrize("system", ENVIRONMENTS)
def test_every_system_gets_one_onnx_runtime(system: str) -> None:
    chosen = [
        r.name
        for r in requirements("requirements.txt")
        if r.name.startswith("onnxruntime") and r.marker.evaluate(ENVIRONMENTS[system])
    ]
    has_gpu_wheel = system in ("linux", "windows")
    assert chosen == ["onnxruntime-gpu" if has_gpu_wheel else "onnxruntime"]


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt"])
def test_the_lock_holds_a_version_within_each_range(file: str) -> None:
    pins = locked()
    for requirement in requirements(file):
        if requirement.marker is None or requirement.marker.evaluate(ENVIRONMENTS["linux"]):
            version = pins[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version), f"{requirement} is locked to {version}"


def test_the_lock_names_no_place() -> None:
    assert not re.search(r"[/@\\]", (ROOT / "constraints.txt").read_text(encoding="utf-8"))


def test_the_citation_is_of_this_version_and_licence() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"] == "Apache-2.0"
    assert citation["references"][0]["type"] == "thesis"
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in licence and "END OF TERMS AND CONDITIONS" in licence
