"""The leakage study: its arms, verdict and report."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from proxy_keras.settings import DataConfig, ProxyConfig, TrainConfig
from tuner.comparing import leakage

BASE = TrainConfig(DataConfig("digits"), ProxyConfig(threshold=0.3), epochs=40)


def test_the_arms_are_both_protocols_by_segments():
    arms, modules = leakage.make_arms(BASE)
    made = {arm.name: arm.config for arm in arms}
    assert list(made) == [
        *("original none 1", "clean none 1"),
        *("original none 3", "original proxies 3", "clean proxies 3"),
        *("original none 9", "original proxies 9", "clean proxies 9"),
    ]
    assert {modules[name] for name in made if name.startswith("clean")} == {"proxy_keras.train"}
    assert modules["original none 9"] == "tuner.original_protocol"
    assert made["clean none 1"].proxy is None
    nine = made["original proxies 9"].proxy
    assert nine.schedule == "5,p,9,p,9,p,9,p,4" and nine.threshold == 0.3 and nine.control is None
    assert made["original none 9"].proxy == dataclasses.replace(nine, control="proxies_off")
    assert made["clean proxies 9"].proxy == nine


def test_schedules_are_scaled_to_the_epochs():
    arms, _ = leakage.make_arms(dataclasses.replace(BASE, epochs=20))
    schedules = {arm.config.proxy.schedule for arm in arms if arm.config.proxy is not None}
    assert {schedule.count(",") for schedule in schedules} == {0, 2, 8}
    for schedule in schedules:
        assert sum(1 if part == "p" else int(part) for part in schedule.split(",")) == 20


def runs(rise: float, on_test: float = 0.0, seeds: int = 4) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    rows = []
    for seed in range(seeds):
        for count, step in ((1, 0), (3, 1), (9, 2)):
            noise = draw.normal(0, 0.002, 2)
            rows.append(
                {
                    "arm": f"original none {count}",
                    "seed": seed,
                    "val_accuracy": 0.7 + rise * step / 2 + noise[0],
                    "test_accuracy": 0.7 + on_test * step / 2 + noise[1],
                }
            )
    return pd.DataFrame(rows)


def test_a_rise_is_told_with_what_happens_on_the_test_images():
    said = leakage.verdict(runs(0.15))
    assert "the reported accuracy rises from 1 to 9 segments, without any proxies: +1" in said
    assert "untouched test images changes by" in said and "4 seeds" in said


def test_no_rise_is_not_made_up():
    assert leakage.verdict(runs(0.0)).startswith("The reported accuracy was not shown to rise")
    assert leakage.verdict(runs(0.2, seeds=1)).startswith("Too few runs")


def test_the_summary_has_means_and_intervals():
    table = leakage.summary(runs(0.1))
    assert table["segments"].tolist() == [1, 3, 9] and set(table["seeds"]) == {4}
    means = runs(0.1).groupby("arm", sort=False)["val_accuracy"].mean()
    np.testing.assert_allclose(table["validation"], means)
    assert (table["validation_low"] < table["validation"]).all()
    alone = leakage.summary(runs(0.1, seeds=1))
    assert alone["validation_low"].isna().all()


def test_no_interval_leaves_what_an_accuracy_can_be():
    rows = pd.DataFrame(
        {
            "arm": "clean none 1",
            "seed": [0, 1],
            "val_accuracy": [0.98, 1.0],
            "test_accuracy": [0.0, 0.02],
        }
    )
    (line,) = leakage.summary(rows).itertuples()
    assert line.validation_high == 1.0 and line.validation == pytest.approx(0.99)
    assert line.test_low == 0.0 and line.test_high > 0.02


def test_the_report_counts_what_is_missing(tmp_path):
    said = leakage.write(tmp_path, runs(0.1), title="T", command="python -m x", planned=20)
    report = (tmp_path / "report.md").read_text()
    assert said in report and "**8 runs are missing.**" in report and "python -m x" in report
    assert "| original | none | 9 | 4 | " in report
    assert {path.name for path in tmp_path.iterdir()} == {
        *("report.md", "leakage.csv", "leakage.png", "leakage.svg")
    }
    first = (tmp_path / "leakage.svg").read_bytes()
    leakage.write(tmp_path, runs(0.1), title="T", command="python -m x", planned=20)
    assert (tmp_path / "leakage.svg").read_bytes() == first


def test_too_few_epochs_are_refused():
    with pytest.raises(ValueError, match="too few for the schedule"):
        leakage.make_arms(dataclasses.replace(BASE, epochs=6))
