"""The project's files agree with one another: requirements, extras, lock, licence, citation."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from serve.version import VERSION

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ENVIRONMENTS = {
    "linux": {"sys_platform": "linux", "platform_machine": "x86_64"},
    "linux on arm": {"sys_platform": "linux", "platform_machine": "aarch64"},
    "macos": {"sys_platform": "darwin", "platform_machine": "arm64"},
    "windows": {"sys_platform": "win32", "platform_machine": "AMD64"},
}


def requirements(file: str) -> list[Requirement]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-r"))]


def locked() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pins}


def test_the_server_says_the_project_s_version() -> None:
    assert VERSION == PROJECT["version"]


def test_what_serving_needs_is_part_of_what_the_project_needs() -> None:
    whole = {str(requirement) for requirement in requirements("requirements.txt")}
    serving = {str(requirement) for requirement in requirements("requirements-serve.txt")}
    assert serving < whole and "tensorflow" not in {Requirement(r).name for r in serving}


@pytest.mark.parametrize("extra", ["gpu", "dev"])
def test_an_extra_is_its_requirements_file(extra: str) -> None:
    listed = [Requirement(line) for line in PROJECT["optional-dependencies"][extra]]
    assert {str(r) for r in listed} == {str(r) for r in requirements(f"requirements-{extra}.txt")}


def test_what_the_examples_need_is_tested() -> None:
    extra = {str(Requirement(line)) for line in PROJECT["optional-dependencies"]["examples"]}
    assert extra < {str(requirement) for requirement in requirements("requirements-dev.txt")}


def test_the_gpu_s_tensorflow_is_of_the_same_range() -> None:
    (gpu,) = requirements("requirements-gpu.txt")
    plain = next(r for r in requirements("requirements.txt") if r.name == "tensorflow")
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
