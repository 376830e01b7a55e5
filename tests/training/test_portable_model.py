"""A saved model opens in a process that has imported only Keras."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from proxy_keras.augment import cross_entropy_of_shares
from proxy_keras.training.one_cycle import OneCycle
from proxy_keras.training.optimizer import make_optimizer
from proxy_keras.training.portable_model import save_portable

SCRIPT = """
import json, sys, warnings
from pathlib import Path
warnings.simplefilter("error", UserWarning)
import keras, numpy as np
images = np.load("images.npy")
answers = {}
for file in sorted(Path().glob("*.keras")):
    plain = keras.models.load_model(file, compile=False)
    model = keras.models.load_model(file)
    mixed = model.loss.name.startswith("categorical")
    answers[file.stem] = {
        "logits": np.asarray(plain(images), float).tolist(),
        "compiled": np.asarray(model(images), float).tolist(),
        "iterations": int(model.optimizer.iterations),
        "loss": model.loss.name,
    }
    labels = np.array([0, 1, 2, 0])
    model.fit(images, np.eye(3)[labels] if mixed else labels, verbose=0)
assert not [name for name in sys.modules if name.startswith("proxy_keras")]
print(json.dumps(answers))
"""


def _trained(policy: str, *, shares: bool) -> tuple[keras.Model, np.ndarray]:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, dtype=policy),
            keras.layers.GlobalAveragePooling2D(dtype=policy),
            keras.layers.Dense(3, dtype="float32"),
        ]
    )
    sparse = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = make_optimizer(total_steps=4)
    if policy == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model.compile(optimizer, cross_entropy_of_shares if shares else sparse, metrics=["accuracy"])
    images = np.random.default_rng(0).random((4, 8, 8, 3)).astype(np.float32)
    labels = np.array([0, 1, 2, 0])
    model.fit(images, np.eye(3)[labels] if shares else labels, verbose=0)
    return model, images


def test_models_open_with_keras_alone(tmp_path: Path) -> None:
    cases = {"plain": ("float32", False), "shares": ("float32", True)}
    cases["scaled"] = ("mixed_float16", False)
    expected = {}
    for name, (policy, shares) in cases.items():
        model, images = _trained(policy, shares=shares)
        save_portable(model, tmp_path / f"{name}.keras")
        expected[name] = np.asarray(model(images))
    np.save(tmp_path / "images.npy", images)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout.splitlines()[-1])
    assert set(answers) == set(cases)
    for name, answer in answers.items():
        np.testing.assert_allclose(answer["logits"], expected[name], atol=1e-5)
        assert answer["compiled"] == answer["logits"] and answer["iterations"] == 1
        assert answer["loss"].startswith("categorical" if name == "shares" else "sparse")


def test_saving_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    model, _ = _trained("float32", shares=True)
    save_portable(model, tmp_path / "model.keras")
    assert isinstance(model.optimizer._learning_rate, OneCycle)
    assert "get_compile_config" not in vars(model)
    assert "cross_entropy_of_shares" in json.dumps(model.get_compile_config())


def test_the_cosine_decay_has_the_same_start_peak_and_end() -> None:
    ours = OneCycle(0.1, total_steps=101)
    keras_own = ours.to_cosine_decay()
    for step in (0, 30, 100):
        assert float(keras_own(step)) == pytest.approx(float(ours(step)), rel=1e-3)
