"""Studies: runs, resuming, validation and results with simulated runs."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from proxy_keras.settings import DataConfig, ProxyConfig, TrainConfig
from tests.tuner import study_stub
from tuner import study
from tuner.comparing import study_run
from tuner.comparing.arms import make_arms
from tuner.comparing.study_results import Results
from tuner.file_lock import is_locked

BASE = TrainConfig(DataConfig("digits"), ProxyConfig(), epochs=4)


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """Return the plan of a study with simulated runs."""
    monkeypatch.syspath_prepend(study_stub.__file__.rpartition("/")[0])
    monkeypatch.setenv("PYTHONPATH", f"{study_stub.__file__.rpartition('/')[0]}:.")

    def make(words="none,proxy,random_mask", *, seeds=3, base=BASE):
        arms = make_arms(words.split(","), base, controls=False)
        modules = {arm.name: "study_stub" for arm in arms}
        return study_run.Study(tmp_path / "study", tuple(arms), tuple(range(seeds)), modules)

    return make


def test_every_arm_runs_every_seed_under_equal_conditions(plan):
    made = plan()
    results, failures = study_run.run(made, workers=3, quiet=True)
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


@pytest.mark.parametrize(("asked", "noted"), [("auto", "mixed_float16"), ("float32", "")])
def test_only_a_precision_that_the_machine_chose_is_a_condition(plan, asked, noted):
    base = dataclasses.replace(BASE, precision=asked)
    results, failures = study_run.run(plan("none", seeds=1, base=base), workers=1, quiet=True)
    assert failures == []
    assert results.table["auto_precision"].tolist() == [noted]


def test_it_goes_on_from_its_table_alone(plan):
    study_run.run(plan(seeds=1), workers=2, quiet=True)
    made = plan(seeds=2)
    first = made.folder / "runs" / "none" / "seed-0"
    (first / "metrics.json").unlink()
    (first / "run.json").unlink()
    results, _ = study_run.run(made, workers=2, quiet=True)
    assert len(results.table) == 6 and not (first / "metrics.json").exists()
    assert len(Results(made.folder).table) == 6


def test_a_failed_run_is_told_and_tried_again(plan):
    made = plan("none,cutmix", seeds=2)
    results, failures = study_run.run(made, workers=1, quiet=True)
    assert len(failures) == 1 and len(results.table) == 3
    assert failures[0].startswith("cutmix, seed 1: ") and "out of luck" in failures[0]
    results, failures = study_run.run(made, workers=1, quiet=True)
    assert failures == [] and len(results.table) == 4


def test_rows_of_other_settings_are_refused_before_anything_runs(plan):
    made = plan("none,cutout", seeds=1)
    study_run.run(made, workers=2, quiet=True)
    before = (made.folder / "results.csv").read_text()
    other = plan("none,cutout", seeds=2, base=dataclasses.replace(BASE, lr=0.5))
    with pytest.raises(ValueError, match=r"with other settings: none, cutout\. Pass another"):
        study_run.run(other, workers=1, quiet=True)
    assert (made.folder / "results.csv").read_text() == before
    assert not (made.folder / "runs" / "none" / "seed-1").exists()
    # Arms that the command does not name may have any settings.
    rest = plan("none", seeds=1)
    results, failures = study_run.run(rest, workers=1, quiet=True)
    assert failures == [] and len(results.table) == 2


def test_data_of_the_same_name_elsewhere_are_refused(plan):
    def at(source):
        return plan("none", seeds=1, base=dataclasses.replace(BASE, data=DataConfig(source)))

    made = at("npz:/a/d.npz")
    study_run.run(made, workers=1, quiet=True)
    with pytest.raises(ValueError, match="data 'npz:/a/d.npz', but `--data` is 'npz:/b/d.npz'"):
        study_run.run(at("npz:/b/d.npz"), workers=1, quiet=True)
    (made.folder / "study.json").write_text("{")
    with pytest.raises(ValueError, match="study.json is damaged. Delete it"):
        study_run.run(at("npz:/a/d.npz"), workers=1, quiet=True)
    # As in a folder of before there was such a file, or of a study that was moved.
    (made.folder / "study.json").unlink()
    _, failures = study_run.run(at("npz:/b/d.npz"), workers=1, quiet=True)
    assert failures == [] and not (made.folder / "study.json").exists()


def test_a_damaged_run_folder_is_the_failure_of_that_run(plan):
    made = plan("none,cutout", seeds=1)
    study_run.run(made, workers=2, quiet=True)
    runs = made.folder / "runs"
    for name, file in (("none", "metrics.json"), ("cutout", "run.json")):
        (made.folder / "results.csv").unlink(missing_ok=True)
        path = runs / name / "seed-0" / file
        whole = path.read_text()
        path.write_text('{"split')
        results, failures = study_run.run(made, workers=1, quiet=True)
        assert len(failures) == 1 and len(results.table) == 1
        assert failures[0].startswith(f"{name}, seed 0: ") and file in failures[0]
        assert "is damaged: " in failures[0] and f"elete {path.parent}" in failures[0].replace(
            "that folder", str(path.parent)
        )
        path.write_text(whole)
    (runs / "cutout" / "seed-0" / "metrics.json").write_text("{}")
    _, failures = study_run.run(made, workers=1, quiet=True)
    assert "metrics.json or run.json" in failures[0] and "proxy_steps" in failures[0]


def test_damaged_settings_beside_a_run_folder_are_written_anew(plan):
    made = plan("none", seeds=1)
    study_run.run(made, workers=1, quiet=True)
    (made.folder / "results.csv").unlink()
    settings = made.folder / "runs" / "none" / "seed-0.json"
    settings.write_text('{"data')
    results, failures = study_run.run(made, workers=1, quiet=True)
    assert failures == [] and len(results.table) == 1
    assert json.loads(settings.read_text())["seed"] == 0


def test_one_study_at_a_time_runs_in_a_folder(plan, monkeypatch, capsys):
    monkeypatch.setattr(study, "TRAINING", "study_stub")
    made = plan()
    words = ["--data", "digits", "--arms", "none", "--seeds", "1", "--out", str(made.folder)]
    with made.lock():
        assert study.main([*words, "--quiet"]) == 2
    assert f"Another study is running in {made.folder}." in capsys.readouterr().err
    assert not (made.folder / "results.csv").exists()
    made.lock().close()


def test_a_study_that_is_done_needs_no_data(plan, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(study, "TRAINING", "study_stub")
    data = tmp_path / "d.npz"
    data.touch()
    words = ["--data", f"npz:{data}", "--arms", "none", "--out", str(plan().folder), "--quiet"]
    assert study.main([*words, "--seeds", "1"]) == 0
    data.unlink()
    assert study.main([*words, "--seeds", "1"]) == 0
    assert study.main([*words, "--seeds", "2"]) == 2
    assert "d.npz' does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("own", [False, True])
def test_an_interrupted_study_stops_its_trainings(own, tmp_path):
    """Also if only the study receives the signal, or fails."""
    (tmp_path / "endless.py").write_text(
        "import pathlib, sys, time\n"
        "pathlib.Path(sys.argv[sys.argv.index('--out') + 1]).mkdir()\n"
        "time.sleep(60)\n"
    )
    (tmp_path / "quick.py").write_text("")
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from proxy_keras.settings import DataConfig, TrainConfig\nfrom tuner import job\n"
        "config = TrainConfig(DataConfig('digits'))\n"
        "def report(job, outcome):\n    while not Path('runs/a').exists():\n        pass\n"
        "    raise KeyboardInterrupt\n"
        "names = sys.argv[1:]\n"
        "todo = [job.Job(config, Path('runs') / 'a', 'endless')]\n"
        "todo += [job.Job(config, Path('runs') / name, 'quick') for name in names]\n"
        "job.run_all(todo, workers=2, report=report)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, *(["b"] if own else [])],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{Path.cwd()}"},
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 60
        while not (tmp_path / "runs" / "a").exists() and time.monotonic() < until:
            time.sleep(0.02)
        if not own:
            process.send_signal(signal.SIGINT)
        assert process.wait(timeout=15) != 0
    finally:
        process.kill()
        process.wait()
    assert not is_locked(tmp_path / "runs" / "a.lock")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seeds", "0"], "`--seeds` must be >= 1"),
        (["--workers", "0"], "`--workers` must be >= 1"),
        (["--effect", "0"], "`--effect` must be > 0"),
        (["--effect", "nan"], "`--effect` must be > 0"),
        (["--effect", "inf"], "`--effect` must be > 0"),
        (["--data", "nosuch"], "`--data` 'nosuch' does not exist"),
        (["--no-proxy"], "A study has arms instead of"),
        (["--seed", "3"], "runs several seeds"),
        (["--lr", "auto"], "Pass numbers instead of 'auto'"),
        (["--arms", "nine"], "Unknown arm 'nine'"),
        (["--compare", "proxy", "nine"], "`--compare` needs two arms of the study: none, proxy"),
        (["--protocol", "original", "--compare", "a", "b"], "is for `--protocol clean`"),
        (["--compare", "none", "none"], "Received: 'none' and 'none'"),
        (["--protocol", "original", "--epochs", "9"], "9 epochs are too few"),
    ],
)
def test_bad_arguments_end_with_2_and_leave_nothing(words, message, tmp_path, capsys):
    code = study.main(["--data", "digits", "--out", str(tmp_path / "s"), *words])
    assert code == 2 and message in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_comparisons_can_be_added():
    arms = ["none", "proxy:a", "random_mask:a", "proxy:b"]
    planned = study.plan_comparisons(arms, [])
    assert ("proxy:a", "random_mask:a") in planned and ("proxy:a", "proxy:b") not in planned
    more = [["proxy:a", "proxy:b"], ["proxy:a", "none"]]
    assert study.plan_comparisons(arms, more) == [*planned, ("proxy:a", "proxy:b")]


def test_the_command_reports_what_the_runs_show(plan, monkeypatch, capsys):
    monkeypatch.setattr(study, "TRAINING", "study_stub")
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


def test_frozen_arms_share_the_features_of_images(plan, monkeypatch):
    monkeypatch.setattr(study, "TRAINING", "study_stub")
    out = plan().folder
    words = ["--data", "digits", "--arms", "proxy", "--no-controls", "--seeds", "1", "--quiet"]
    assert study.main([*words, "--freeze", "--out", str(out)]) == 0
    for arm in ("none", "proxy"):
        saved = json.loads((out / "runs" / arm / "seed-0.json").read_text())
        assert saved["freeze"] is True and saved["features"] == str(out.resolve() / "features")
