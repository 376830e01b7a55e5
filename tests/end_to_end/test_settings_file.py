"""Settings from a file and augmentations by name, as studies and searches pass them."""

import json
import zipfile

import pytest

from proxy_keras.settings import DataConfig, ProxyConfig, TrainConfig

OPEN_WITH_KERAS_ALONE = """
import sys
import keras
for file in sys.argv[1:]:
    model = keras.models.load_model(file)
    logits = model(keras.random.uniform((2, *model.input_shape[1:]), seed=0))
    assert not [name for name in sys.modules if name.startswith("proxy_keras")]
    print("logits", logits.shape)
"""


@pytest.mark.slow
def test_a_settings_file_trains_and_resumes(commands, run_command, squares, tmp_path):
    config = TrainConfig(
        DataConfig(f"npz:{squares}", limit=90),
        ProxyConfig(schedule="1,p", select="all", subset=1.0),
        model="small_cnn",
        epochs=2,
        augment=(
            *("cutmix", "mixup:alpha=0.4", "curriculum:of=random_erasing,epochs=1"),
            "manifold_mixup",
        ),
    )
    file, out = tmp_path / "settings.json", tmp_path / "run"
    config.save(file)
    command = ("-m", "proxy_keras.train", "--config", file, "--out", out, "--quiet")
    first = commands.run(*command, "--resume")
    assert first.returncode == 0, first.stderr
    metrics = json.loads((out / "metrics.json").read_text())
    about = json.loads((out / "run.json").read_text())
    assert about["training_images"] == 90 and about["optimizer_steps"] == 2 * 2
    assert metrics["proxies_made"] > 0 and metrics["cpu_seconds"] > 0
    assert TrainConfig.load(out / "config.json").augment == config.augment

    # Augmentations change batches: a saved model has none of our layers, and Keras alone opens it.
    for name in ("best.keras", "model.keras"):
        with zipfile.ZipFile(out / name) as saved:
            assert "proxy_keras" not in saved.read("config.json").decode()
    opened = run_command("-c", OPEN_WITH_KERAS_ALONE, out / "best.keras", out / "model.keras")
    assert opened.returncode == 0, opened.stderr
    assert opened.stdout == "logits (2, 3)\n" * 2

    again = commands.run(*command, "--resume")
    assert again.returncode == 0 and again.stdout == first.stdout
    other = commands.run(*command, "--resume", "--lr", "0.5")
    assert other.returncode == 2 and "lr was 0.001, now 0.5" in other.stderr
    file.write_text('{"model": 3}')
    broken = commands.run("-m", "proxy_keras.train", "--config", file, "--out", tmp_path / "b")
    assert broken.returncode == 2 and "does not hold the settings of a training" in broken.stderr
