"""A run in which all classes count the same, with and without proxies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from proxy_keras.settings import ProxyConfig
from proxy_keras.training import run as runs
from tests.training.robust_runs import settings, two_classes


@pytest.mark.slow
def test_a_rare_class_is_answered_more_often_also_with_proxies(tmp_path: Path) -> None:
    source = two_classes(tmp_path / "two.npz")
    proxy = ProxyConfig(schedule="1,p,1", subset=1.0, select="all", show=0.5, original_weight=0.5)
    for number, used in enumerate((None, proxy)):
        margins = {}
        for robust in (None, "class_weighted"):
            config = settings(source, proxy=used, robust=robust, epochs=3, lr=0.1)
            run = runs.prepare(config, tmp_path / f"{number}-{robust}", verbose=0)
            metrics = runs.train(run, verbose=0)
            logits = run.model.predict(run.data.test.batches(16), verbose=0)
            margins[robust] = np.mean(logits[:, 1] - logits[:, 0])
            assert ("robust" in metrics) == (robust is not None)
        # Without weights, both trainings are the same to the last bit.
        assert margins["class_weighted"] - margins[None] > 0.1
