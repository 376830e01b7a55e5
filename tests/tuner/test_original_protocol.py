"""The original protocol leaks validation images, but never test images."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from proxy_keras.data import ImageData
from proxy_keras.settings import DataConfig, ProxyConfig, TrainConfig
from tuner import original_protocol
from tuner.original_protocol import _carry_over, main, train

# Digits have no test split of their own: each draw of a split could take another one.
CONFIG = TrainConfig(
    DataConfig("digits", image_size=16, limit=300, val=0.3),
    ProxyConfig(schedule="1,p,1", select="all", subset=1.0),
    model="small_cnn",
    epochs=3,
    precision="float32",
)


@pytest.fixture
def seen(monkeypatch):
    """Return the splits of each segment."""
    segments = []
    original = original_protocol.training_batches

    def record(config, data, **options):
        segments.append(set(data.example_ids))
        return original(config, data, **options)

    monkeypatch.setattr(original_protocol, "training_batches", record)
    return segments


def test_segments_leak_validation_images_and_no_test_image(tmp_path, seen):
    metrics = train(CONFIG, tmp_path / "run")
    data = ImageData.from_source("digits", image_size=16, limit=300, val=0.3, progress=False)
    assert len(seen) == 3 and len(seen[0] | seen[1] | seen[2]) > 400
    assert not (seen[0] | seen[1] | seen[2]) & set(data.test.example_ids)
    assert metrics["segments"] == 3 and 0.1 < metrics["leaked"] < 0.9
    assert metrics["proxies_made"] == 300 and metrics["proxy_steps"][0]["epoch"] == 1
    assert metrics["test"]["examples"] == len(data.test)
    saved = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert saved == metrics
    assert len((tmp_path / "run" / "history.csv").read_text().splitlines()) == 4


def test_without_proxies_none_is_made_and_one_segment_leaks_nothing(tmp_path):
    proxy = dataclasses.replace(CONFIG.proxy, schedule="1", control="proxies_off")
    metrics = train(dataclasses.replace(CONFIG, proxy=proxy, epochs=1), tmp_path / "run")
    assert metrics["proxies_made"] == 0 and metrics["leaked"] == 0.0


def test_proxies_go_on_with_their_images_while_these_are_in_training():
    before = ImageData.from_source("digits", image_size=16, progress=False).train
    now = ImageData.from_source("digits", image_size=16, seed=1, progress=False).train
    ids = before.example_ids[::7]
    maps = np.random.default_rng(0).integers(0, 256, (len(ids), 2, 2), np.uint8)
    positions = np.arange(len(before))[::7]
    before.store.put(positions, maps, np.full(len(ids), 0.5, np.float32), epoch=0)
    _carry_over(before, now)
    stays = [id_ for id_ in ids if id_ in set(now.example_ids)]
    kept_ids = [now.example_ids[position] for position in now.store.positions]
    assert kept_ids == sorted(stays) and 0 < len(stays) < len(ids)
    kept = now.store.get_state()["heatmaps"]
    expected = {id_: map_ for id_, map_ in zip(ids, maps, strict=True)}
    for id_, map_ in zip(kept_ids, kept, strict=True):
        np.testing.assert_array_equal(map_, expected[id_])


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"proxy": None}, "needs a schedule"), ({"proxy": ProxyConfig()}, "schedule of segments")],
)
def test_what_has_no_segments_is_refused(tmp_path, capsys, changes, message):
    file = tmp_path / "settings.json"
    dataclasses.replace(CONFIG, **changes).save(file)
    assert main(["--config", str(file), "--out", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "run").exists()
