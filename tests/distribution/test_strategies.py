"""Which devices a strategy takes, and what is refused before anything is trained."""

import pytest
import tensorflow as tf

from proxy_keras import train
from proxy_keras.distribution import make_team, strategies
from proxy_keras.settings import DataConfig, ProxyConfig, TrainConfig


@pytest.fixture
def asked(monkeypatch):
    """The devices that a mirrored strategy is made for; none is made."""
    devices = []
    monkeypatch.setattr(tf.distribute, "MirroredStrategy", devices.append)
    monkeypatch.setattr(strategies, "Team", lambda strategy=None: strategy)
    return devices


@pytest.mark.parametrize("replicas", [None, 2])
def test_mirrored_takes_the_parts_of_the_cpu(asked, replicas):
    make_team("mirrored", replicas)
    assert asked == [["CPU:0", "CPU:1"]]


@pytest.mark.parametrize(("replicas", "devices"), [(None, 3), (2, 2)])
def test_mirrored_takes_the_gpus(asked, monkeypatch, replicas, devices):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["GPU"] * 3)
    make_team("mirrored", replicas)
    assert asked == [[f"GPU:{number}" for number in range(devices)]]
    with pytest.raises(ValueError, match="This machine has 3 GPUs. Received: replicas=4"):
        make_team("mirrored", 4)


def test_mirrored_needs_two_devices(asked):
    # The CPU of these tests is in two parts, and TensorFlow in use.
    with pytest.raises(ValueError, match=r"a CPU in 2 part\(s\). Received: replicas=3"):
        make_team("mirrored", 3)


def test_workers_need_tf_config(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ValueError, match="needs the environment variable TF_CONFIG"):
        make_team("multi_worker")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strategy": "ps"}, "`strategy` must be one of none, mirrored, multi_worker"),
        ({"strategy": "mirrored", "replicas": 0}, "`replicas` must be >= 1"),
        ({"replicas": 2}, "`replicas` needs `strategy='mirrored'`"),
        ({"strategy": "mirrored", "batch_size": "auto"}, "`batch_size='auto'` measures one"),
        ({"strategy": "multi_worker", "lr": "auto"}, "`lr='auto'` measures one device"),
        (
            {"strategy": "mirrored", "proxy": ProxyConfig(wrong_from="train")},
            "`wrong_from='train'` records the steps of one device",
        ),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(DataConfig("digits"), **settings)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--strategy", "multi_worker"), "TF_CONFIG"),
        (("--strategy", "mirrored", "--replicas", "3"), "2 part(s)"),
        (("--strategy", "mirrored", "--lr", "auto"), "measures one device"),
    ],
)
def test_the_command_line_says_what_to_do(options, message, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    out = tmp_path / "run"
    assert train.main(["--data", "digits", "--out", str(out), "--quiet", *options]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()
