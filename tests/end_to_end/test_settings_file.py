"""Settings from a file and augmentations by name, as studies and searches pass them."""

import json

import pytest

from proxy_keras.settings import DataConfig, ProxyConfig, TrainConfig


@pytest.mark.slow
def test_a_settings_file_trains_and_resumes(run_command, squares, tmp_path):
    config = TrainConfig(
        DataConfig(f"npz:{squares}", limit=90),
        ProxyConfig(schedule="1,p", select="all", subset=1.0),
        model="small_cnn",
        epochs=2,
        augment=("cutmix", "mixup:alpha=0.4"),
    )
    file, out = tmp_path / "settings.json", tmp_path / "run"
    config.save(file)
    command = ("-m", "proxy_keras.train", "--config", file, "--out", out, "--quiet")
    first = run_command(*command, "--resume")
    assert first.returncode == 0, first.stderr
    metrics = json.loads((out / "metrics.json").read_text())
    about = json.loads((out / "run.json").read_text())
    assert about["training_images"] == 90 and about["optimizer_steps"] == 2 * 2
    assert metrics["proxies_made"] > 0 and metrics["cpu_seconds"] > 0
    assert TrainConfig.load(out / "config.json").augment == config.augment

    again = run_command(*command, "--resume")
    assert again.returncode == 0 and again.stdout == first.stdout
    other = run_command(*command, "--resume", "--lr", "0.5")
    assert other.returncode == 2 and "lr was 0.001, now 0.5" in other.stderr
    file.write_text('{"model": 3}')
    broken = run_command("-m", "proxy_keras.train", "--config", file, "--out", tmp_path / "b")
    assert broken.returncode == 2 and "does not hold the settings of a training" in broken.stderr
