"""A run of MaskTune."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from proxy_keras.attribution import Explainer
from proxy_keras.heatmaps.eight_bit import dequantise, quantise
from proxy_keras.heatmaps.scaling import enlarge
from proxy_keras.io.saved_model import open_saved
from proxy_keras.robust.masktune import heat_thresholds
from proxy_keras.training import run as runs
from tests.training.robust_runs import settings, trained, two_classes


@pytest.mark.slow
def test_one_more_epoch_on_what_the_best_network_did_not_look_at(tmp_path: Path) -> None:
    config = settings(two_classes(tmp_path / "two.npz"), robust="masktune:lr=0.02")
    run = runs.prepare(config, tmp_path / "run", verbose=0)
    metrics = runs.train(run, verbose=0)
    best = open_saved(tmp_path / "run" / "best.keras").model
    explainer = Explainer(best, "grad_cam", explain="true")
    images, labels = next(
        (images.numpy(), labels.numpy()) for _, images, labels in run.data.train.originals(80)
    )
    heat = dequantise(quantise(explainer.heatmaps(images, labels)))
    pixels = enlarge(heat, (16, 16)).numpy()
    is_masked = pixels > heat_thresholds(pixels)[:, None, None]
    assert metrics["robust"]["masked"] == is_masked.any(axis=(1, 2)).sum() > 0
    assert metrics["robust"]["masked_share"] == pytest.approx(is_masked.mean())
    shown = {}
    for batch, labels in run.data.train.batches(16):
        for image, label in zip(batch.numpy(), labels.numpy(), strict=True):
            shown[image.sum(), label] = image
    for image, mask, label in zip(images, is_masked, run.data.train.labels, strict=True):
        expected = np.where(mask[..., None], 0.0, image)
        np.testing.assert_array_equal(shown[expected.sum(), label], expected)
    # Earlier epochs lack what the method does, so validation selects none.
    assert list(metrics["selected"]) == ["last"]
    assert metrics["robust"]["optimizer_steps"] == 5
    # Two epochs of five steps, and the one on masked images.
    assert int(run.model.optimizer.iterations) == 15
    assert float(run.model.optimizer.learning_rate) == np.float32(0.02)
    # A process that resumes after the last epoch masks and trains again, to the same bits.
    (tmp_path / "run" / "metrics.json").unlink()
    again, _ = trained(config, tmp_path / "run")
    for weight, other in zip(run.model.get_weights(), again, strict=True):
        np.testing.assert_array_equal(weight, other)
