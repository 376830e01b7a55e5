"""`pip install proxy-attention-keras` is enough to train with proxies and to explain."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from importlib import metadata
from pathlib import Path

import keras
import keras_hub
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from proxy_keras import attribution

ROOT = Path(__file__).resolve().parents[1]
PACKAGED = ("proxy_keras", "tuner", "export", "serve", "pyproject.toml", "README.md", "LICENSE")
MOST_PACKAGES = 40
MOST_GB = 2.5
NEED_EXPLAIN = {"dynamic", "kernel_shap", "lime", "sp_lime", "reference"}
NEED_TRAIN = {"sheets", "events", "vit", "digits", "tfds"}


def closure(lines: list[str]) -> dict[str, metadata.Distribution]:
    """Return the installed distributions that requirements ask for, directly or not."""
    found: dict[str, metadata.Distribution] = {}
    done: set[tuple[str, str]] = set()
    left = [(Requirement(line), "") for line in lines]
    while left:
        requirement, asked_by = left.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": asked_by}):
            continue
        name = canonicalize_name(requirement.name)
        for extra in {"", *requirement.extras} - {e for n, e in done if n == name}:
            done.add((name, extra))
            found[name] = metadata.distribution(requirement.name)
            left += [(Requirement(line), extra) for line in found[name].requires or []]
    return found


def link(distribution: metadata.Distribution, folder: Path) -> int:
    """Link the installed files of a distribution into a site-packages, and return their bytes."""
    size = 0
    for file in distribution.files or []:
        source = Path(file.locate())
        # Scripts lie outside of site-packages.
        if ".." in file.parts or not source.is_file():
            continue
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError:
            target.symlink_to(source)
        size += source.stat().st_size
    return size


@pytest.fixture(scope="module")
def core(tmp_path_factory) -> Path:
    """Return the scripts of a new environment with this project and its core dependencies.

    The dependencies are linked from the environment that runs the tests, which has the locked
    versions: seconds and no space, instead of minutes and two gigabytes. The project is built and
    installed by pip.
    """
    folder = tmp_path_factory.mktemp("core")
    venv.create(folder / "venv", with_pip=False)
    paths = {"base": str(folder / "venv"), "platbase": str(folder / "venv")}
    site, scripts = (Path(sysconfig.get_path(n, "venv", paths)) for n in ("purelib", "scripts"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    distributions = closure(project["dependencies"])
    size = sum(link(distribution, site) for distribution in distributions.values())
    print(f"core: {len(distributions)} packages, {size / 1e9:.2f} GB")
    assert len(distributions) <= MOST_PACKAGES and size / 1e9 <= MOST_GB
    source = folder / "source"
    source.mkdir()
    for name in PACKAGED:
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--python", str(scripts / "python"), "--quiet"]
    subprocess.run([*pip, "install", "--no-deps", str(source)], check=True)
    subprocess.run([*pip, "check"], check=True)
    return scripts


def run(scripts: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("PYTHONPATH", None)
    command = [str(scripts / words[0]), *words[1:]]
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def save_vision_transformer(file: Path) -> None:
    """Save a classifier with a backbone of KerasHub, which cannot be loaded without KerasHub."""
    sizes = {"patch_size": 8, "num_layers": 1, "num_heads": 1, "hidden_dim": 8, "mlp_dim": 8}
    backbone = keras_hub.models.ViTBackbone(image_shape=(16, 16, 3), **sizes)
    images = keras.Input((16, 16, 3))
    keras.Model(images, keras.layers.Dense(2)(backbone(images)[:, 0])).save(file)


@pytest.mark.slow
def test_the_core_trains_and_explains_and_names_the_extra_for_the_rest(core, tmp_path) -> None:
    save_vision_transformer(tmp_path / "vit.keras")
    script = shutil.copy(ROOT / "tests" / "core_journey.py", tmp_path)
    done = run(core, "python", str(script), str(tmp_path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["made"] > 0 and found["same logits"]
    assert found["images read"] == {"folder": 40, "dataset": 40}
    explained = set(attribution.names()) - NEED_EXPLAIN - {"attention_rollout"}
    assert found["explained"].keys() == explained
    for needing, extra in ((NEED_EXPLAIN, "explain"), (NEED_TRAIN, "train")):
        for name in needing:
            message = found["needs"].pop(name)
            assert message.endswith(f" needs `pip install proxy-attention-keras[{extra}]`")
    assert not any(found["needs"].values())


@pytest.mark.slow
def test_the_installed_script_names_the_extra(core, tmp_path) -> None:
    listed = run(core, "proxy-keras", "--help", cwd=tmp_path)
    assert listed.returncode == 0 and "commands:\n  train " in listed.stdout
    words = ("train", "--data", "digits", "--epochs", "1", "--out", "run")
    done = run(core, "proxy-keras", *words, cwd=tmp_path)
    assert done.returncode == 2
    wanted = "error: `matplotlib` needs `pip install proxy-attention-keras[train]`"
    assert done.stderr.splitlines()[-1] == wanted and not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_packages(core) -> None:
    (site,) = (core.parent / "lib").glob("python*/site-packages")
    for package in ("proxy_keras", "tuner", "export", "serve"):
        files = {p.relative_to(ROOT) for p in (ROOT / package).rglob("*") if p.is_file()}
        absent = {p for p in files if "__pycache__" not in p.parts and not (site / p).is_file()}
        assert not absent
