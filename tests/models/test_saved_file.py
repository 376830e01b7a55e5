"""A saved model opens with Keras alone and returns the same logits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from proxy_keras.models import build_model, names, vit_base_patch16_224

# Keras imports KerasHub by itself for a class from there, so both packages are made unavailable.
OPEN_WITH_KERAS_ALONE = """
import sys
from pathlib import Path
sys.modules["keras_hub"] = sys.modules["proxy_keras"] = None
import keras, numpy
for file in sorted(Path(sys.argv[1]).glob("*.keras")):
    model = keras.models.load_model(file)
    images = numpy.load(file.with_suffix(".images.npy"))
    numpy.save(file.with_suffix(".logits.npy"), keras.ops.convert_to_numpy(model(images)))
"""


def check_opens_with_keras_alone(models: list[keras.Model], folder: Path) -> None:
    """Save the models, open them in a process without this package, and compare the logits."""
    expected = []
    for number, model in enumerate(models):
        images = np.random.default_rng(0).uniform(0, 255, (2, *model.input_shape[1:]))
        images = images.astype(np.float32)
        model.save(folder / f"{number}.keras")
        np.save(folder / f"{number}.images.npy", images)
        expected.append(keras.ops.convert_to_numpy(model(images)))
    subprocess.run(
        [sys.executable, "-c", OPEN_WITH_KERAS_ALONE, str(folder)], cwd=folder, check=True
    )
    for number, logits in enumerate(expected):
        opened = np.load(folder / f"{number}.logits.npy")
        np.testing.assert_allclose(opened, logits, atol=1e-5 * max(1.0, np.abs(logits).max()))


@pytest.mark.slow
def test_every_model_opens_with_keras_alone(tmp_path: Path) -> None:
    built = [build_model(name, num_classes=3, image_size=32, dropout=0.5) for name in names()]
    check_opens_with_keras_alone(built, tmp_path)


def test_a_small_vit_opens_with_keras_alone(tmp_path: Path) -> None:
    built = []
    for policy in ("float32", "mixed_bfloat16"):
        keras.config.set_dtype_policy(policy)
        images = keras.Input((32, 32, 3))
        tokens = vit_base_patch16_224.encode(
            images, patch=8, num_blocks=2, num_heads=2, width=16, mlp_width=32
        )
        logits = keras.layers.Dense(3, dtype="float32")(tokens[:, 0])
        built.append(keras.Model(images, logits))
    check_opens_with_keras_alone(built, tmp_path)
