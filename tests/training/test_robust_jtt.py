"""A run of Just Train Twice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from proxy_keras.data import ImageData
from proxy_keras.distribution import Team
from proxy_keras.models import build_model
from proxy_keras.settings.robust import JustTrainTwice
from proxy_keras.training.fit_input import FitInput
from proxy_keras.training.robust.jtt import JttTraining
from tests.training.robust_runs import settings, trained, two_classes


@pytest.mark.slow
def test_errors_of_a_short_training_are_upweighted_also_when_resumed(tmp_path: Path) -> None:
    config = settings(two_classes(tmp_path / "two.npz"), robust="jtt:weight=9")
    _, metrics = trained(config, tmp_path / "run")
    found = json.loads((tmp_path / "run" / "error_set.json").read_text())
    # One image in five is of the second class: a short training gets those wrong.
    count = len(found["example_ids"])
    assert 0 < count < 80 and metrics["robust"]["upweighted"] == count
    assert metrics["robust"]["optimizer_steps"] == found["optimizer_steps"] == 5
    assert metrics["cpu_seconds"] > metrics["robust"]["cpu_seconds"] == found["cpu_seconds"]

    data = ImageData.from_source(config.data.source, val=0.2)
    method = JustTrainTwice(weight=9.0)
    again = JttTraining(method, config, data, tmp_path / "run", verbose=0)
    fit_input = FitInput(config, data, Team(), verbose=0)
    # It has the error set already, and trains no network: this one is not even compiled.
    untrained = build_model("small_cnn", num_classes=2, image_size=16)
    before = untrained.get_weights()
    again.begin(untrained, config, fit_input, verbose=0)
    assert not untrained.compiled
    for one, two in zip(before, untrained.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    again.attach(fit_input)
    assert fit_input.weights is not None
    is_error = np.isin(data.train.example_ids, found["example_ids"])
    np.testing.assert_allclose(
        fit_input.weights, np.where(is_error, 9.0, 1.0) * 80 / (80 + 8 * count), rtol=1e-6
    )
    assert again.report()["robust"] == {**metrics["robust"], "method": "jtt:weight=9"}
