"""A study: its runs, what it goes on from, what it refuses, and what it finds in made-up runs."""

from __future__ import annotations

import dataclasses
import json

import pandas as pd
import pytest

from proxy_keras.config import DataConfig, ProxyConfig, TrainConfig
from tests.tuner import study_stub
from tuner import study
from tuner.comparing.arms import make_arms
from tuner.comparing.study_results import Results, check_conditions, fingerprint

BASE = TrainConfig(DataConfig("digits"), ProxyConfig(), epochs=4)


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """Makes the plan of a study whose trainings are made up."""
    monkeypatch.syspath_prepend(study_stub.__file__.rpartition("/")[0])
    monkeypatch.setenv("PYTHONPATH", f"{study_stub.__file__.rpartition('/')[0]}:.")

    def make(words="none,proxy,random_mask", *, seeds=3, base=BASE):
        arms = make_arms(words.split(","), base, controls=False)
        modules = {arm.name: "study_stub" for arm in arms}
        return study.Study(tmp_path / "study", tuple(arms), tuple(range(seeds)), modules)

    return make


def test_every_arm_runs_every_seed_under_equal_conditions(plan):
    made = plan()
    results, failures = study.run(made, workers=3, quiet=True)
    assert failures == []
    rows = results.of(["none", "proxy", "random_mask"], range(3))
    assert list(zip(rows["seed"], rows["arm"], strict=True)) == [
        (seed, arm) for seed in range(3) for arm in ("none", "proxy", "random_mask")
    ]
    for _, row in rows.iterrows():
        config = next(a.config for a in made.arms if a.name == row["arm"])
        expected = study_stub.accuracy(dataclasses.replace(config, seed=int(row["seed"])))
        assert row["test_accuracy"] == expected
    assert rows["replaced"].isna().tolist() == [True, False, False] * 3
    assert set(rows["replaced"].dropna()) == {0.25}
    assert (made.folder / "runs" / "proxy" / "seed-2" / "metrics.json").exists()


def test_it_goes_on_from_its_table_alone(plan):
    study.run(plan(seeds=1), workers=2, quiet=True)
    made = plan(seeds=2)
    first = made.folder / "runs" / "none" / "seed-0"
    (first / "metrics.json").unlink()
    (first / "run.json").unlink()
    results, _ = study.run(made, workers=2, quiet=True)
    assert len(results.table) == 6 and not (first / "metrics.json").exists()
    assert len(Results(made.folder).table) == 6


def test_a_failed_run_is_told_and_tried_again(plan):
    made = plan("none,cutmix", seeds=2)
    results, failures = study.run(made, workers=1, quiet=True)
    assert len(failures) == 1 and len(results.table) == 3
    assert failures[0].startswith("cutmix, seed 1: ") and "out of luck" in failures[0]
    results, failures = study.run(made, workers=1, quiet=True)
    assert failures == [] and len(results.table) == 4


def test_other_settings_are_other_runs(plan):
    study.run(plan("none", seeds=1), workers=1, quiet=True)
    other = plan("none", seeds=1, base=dataclasses.replace(BASE, lr=0.5))
    results, _ = study.run(other, workers=1, quiet=True)
    assert len(results.table) == 1
    assert results.has(
        "none", 0, fingerprint(dataclasses.replace(other.arms[0].config), "study_stub")
    )


def test_fingerprints_tell_settings_apart_but_not_places_or_defaults():
    at = TrainConfig(DataConfig("npz:/a/x.npz"))
    one = fingerprint(at, "m")
    assert one == fingerprint(TrainConfig(DataConfig("npz:/b/x.npz")), "m")
    assert one == fingerprint(dataclasses.replace(at, lr=1e-3), "m")
    others = [
        fingerprint(at, "n"),
        fingerprint(dataclasses.replace(at, proxy=None), "m"),
        fingerprint(dataclasses.replace(at, lr=2e-3), "m"),
        fingerprint(dataclasses.replace(at, proxy=ProxyConfig(threshold=0.1)), "m"),
        fingerprint(TrainConfig(DataConfig("npz:/a/y.npz")), "m"),
    ]
    assert len({one, *others}) == 6


def rows_with(**changes):
    rows = pd.DataFrame(
        {
            "arm": ["none", "proxy", "none", "proxy"],
            "seed": [0, 0, 1, 1],
            "split_sha256": "aa",
            "initial_weights_sha256": ["w0", "w0", "w1", "w1"],
            "optimizer_steps": 10,
        }
    )
    for column, value in changes.items():
        rows.loc[3, column] = value
    return rows


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split_sha256": "bb"}, "the split, but they differ: aa: none, proxy; bb: proxy"),
        ({"optimizer_steps": 11}, "share the number of optimizer steps"),
        (
            {"initial_weights_sha256": "w9"},
            "share the initial weights, but they differ with seed 1",
        ),
    ],
)
def test_unequal_conditions_end_the_study(changes, message):
    check_conditions(rows_with())
    with pytest.raises(ValueError, match=message):
        check_conditions(rows_with(**changes))


def test_a_damaged_table_is_refused(tmp_path):
    (tmp_path / "results.csv").write_text("arm,seed\nnone,1\n")
    with pytest.raises(ValueError, match="lacks .*test_accuracy"):
        Results(tmp_path)
    (tmp_path / "results.csv").write_text("")
    with pytest.raises(ValueError, match="is no table"):
        Results(tmp_path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seeds", "0"], "`--seeds` must be >= 1"),
        (["--workers", "0"], "`--workers` must be >= 1"),
        (["--effect", "0"], "`--effect` must be > 0"),
        (["--no-proxy"], "are arms of a study"),
        (["--seed", "3"], "runs several seeds"),
        (["--lr", "auto"], "give numbers instead of 'auto'"),
        (["--arms", "nine"], "There is no arm 'nine'"),
        (["--protocol", "original", "--epochs", "9"], "9 epochs are too few"),
    ],
)
def test_bad_arguments_end_with_2_and_leave_nothing(words, message, tmp_path, capsys):
    code = study.main(["--data", "digits", "--out", str(tmp_path / "s"), *words])
    assert code == 2 and message in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_the_command_reports_what_the_runs_show(plan, monkeypatch, capsys):
    monkeypatch.setattr(study.jobs, "TRAINING", "study_stub")
    out = plan().folder
    words = ["--data", "digits", "--arms", "proxy,cutmix", "--seeds", "6", "--workers", "4"]
    assert study.main([*words, "--out", str(out), "--quiet"]) == 1
    assert "failed: cutmix, seed 1" in capsys.readouterr().err
    assert study.main([*words, "--out", str(out), "--quiet"]) == 0
    said = capsys.readouterr().out
    report = (out / "report.md").read_text()
    assert "proxy" in said and said.strip().endswith(f"report: {out / 'report.md'}")
    assert f"python -m tuner.study {' '.join(words)}" in report
    comparisons = pd.read_csv(out / "comparisons.csv", keep_default_na=False)
    assert len(comparisons) == 8
    assert {p.name for p in out.iterdir()} >= {"accuracy.png", "accuracy.svg", "differences.png"}
    saved = json.loads((out / "runs" / "none" / "seed-0.json").read_text())
    assert saved["proxy"] is None and saved["seed"] == 0
