"""Arms whose cues come from another arm's network, with simulated runs."""

from __future__ import annotations

import json
import shutil

import pytest

from proxy_keras.settings import DataConfig, ProxyConfig, TrainConfig
from tests.tuner import study_stub
from tuner import study
from tuner.comparing import study_run
from tuner.comparing.arms import make_arms
from tuner.comparing.cue_arms import supervision

BASE = TrainConfig(DataConfig("decoy_digits"), ProxyConfig(), epochs=4)
RECIPES = """
proxy:spread: &spread {cues: "arm:none", object_share: 0.1}
random_mask:spread: {<<: *spread, control: random_mask}
proxy:again: {cues: "arm:proxy:spread", object_share: 0.1}
"""


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """Return the plan of a study with simulated runs."""
    here = study_stub.__file__.rpartition("/")[0]
    monkeypatch.syspath_prepend(here)
    monkeypatch.setenv("PYTHONPATH", f"{here}:.")

    def make(recipes=RECIPES, *, seeds=(0, 1), controls=False):
        arms = arms_of(tmp_path, recipes, controls=controls)
        modules = {arm.name: "study_stub" for arm in arms}
        return study_run.Study(tmp_path / "study", tuple(arms), seeds, modules, "cue_stub")

    return make


def arms_of(folder, recipes, *, controls=False):
    (folder / "recipes.yaml").write_text(recipes)
    return make_arms([str(folder / "recipes.yaml")], BASE, controls=controls)


@pytest.mark.parametrize("workers", [1, 3])
def test_cues_are_found_between_the_two_runs_and_once_for_the_arms_that_share_them(plan, workers):
    made = plan()
    results, failures = study_run.run(made, workers=workers, quiet=True)
    assert failures == []
    names = ["none", "proxy:spread", "random_mask:spread", "proxy:again"]
    rows = results.of(names, range(2)).set_index(["arm", "seed"])
    assert len(rows) == 8
    cues = made.folder / "cues"
    found = [cues / f"{name}-objects_0.1-outside_0.35" for name in ("none", "proxy_spread")]
    assert {path.name for path in cues.iterdir()} == {path.name for path in found}
    # The time that it took is part of each arm's.
    assert rows["cue_cpu_seconds"].isna().groupby("arm").all().to_dict() == {
        name: name == "none" for name in names
    }
    for name in names[1:]:
        assert rows.loc[name, "cpu_seconds"].tolist() == [4.0, 4.0]
        assert rows.loc[name, "seconds"].tolist() == [6.0, 6.0]
        assert rows.loc[name, "cues_ticked"].tolist() == [0.0, 1.0]
    spread, masks, again = (
        json.loads((made.folder / "runs" / name / "seed-1.json").read_text())["proxy"]
        for name in ("proxy_spread", "random_mask_spread", "proxy_again")
    )
    assert spread["cues"] == str((found[0] / "seed-1").resolve())
    assert (spread["object_share"], spread["control"]) == (1.0, None)
    assert masks == {**spread, "control": "random_mask"}
    assert again["cues"] == str((found[1] / "seed-1").resolve())
    asked = json.loads((found[0] / "seed-1.json").read_text())
    assert (asked["seed"], asked["proxy"]["object_share"]) == (1, 0.1)


def test_an_arm_without_a_ticked_cue_trains_plainly(plan):
    made = plan()
    study_run.run(made, workers=2, quiet=True)
    runs = made.folder / "runs"
    with_none, with_one = (
        json.loads((runs / "proxy_spread" / f"seed-{seed}.json").read_text()) for seed in (0, 1)
    )
    assert with_none["proxy"] is None and with_one["proxy"] is not None
    assert with_none == json.loads((runs / "none" / "seed-0.json").read_text())


def test_it_resumes_without_finding_anything_twice(plan):
    study_run.run(plan(seeds=(0,)), workers=1, quiet=True)
    made = plan(seeds=(0, 1))
    cues = made.folder / "cues" / "none-objects_0.1-outside_0.35"
    before = (cues / "seed-0" / "metrics.json").stat().st_mtime_ns
    results, failures = study_run.run(made, workers=2, quiet=True)
    assert failures == [] and len(results.table) == 8
    # A lost run of an arm needs its cues alone, not the network that they were found in.
    shutil.rmtree(made.folder / "runs")
    table = results.path.read_text().splitlines()
    kept = [line for line in table if not line.startswith("proxy:spread,1")]
    assert len(kept) == len(table) - 1
    results.path.write_text("\n".join(kept) + "\n")
    results, failures = study_run.run(made, workers=2, quiet=True)
    assert failures == [] and len(results.table) == 8
    assert [path.name for path in (made.folder / "runs").iterdir()] == ["proxy_spread"]
    assert (cues / "seed-0" / "metrics.json").stat().st_mtime_ns == before


def test_a_network_is_trained_again_where_cues_are_needed_and_its_folder_is_gone(plan):
    made = plan("a: {no_proxy: true, lr: 0.01}")
    study_run.run(made, workers=1, quiet=True)
    shutil.rmtree(made.folder / "runs")
    made = plan("a: {no_proxy: true, lr: 0.01}\n" + RECIPES)
    results, failures = study_run.run(made, workers=2, quiet=True)
    assert failures == [] and len(results.table) == 10
    assert not (made.folder / "runs" / "a").exists()


def test_a_failure_ends_the_runs_that_wait_for_it_and_no_others(plan):
    made = plan(seeds=(1, 7))
    results, failures = study_run.run(made, workers=2, quiet=True)
    assert len(failures) == 4 and len(results.table) == 5
    assert failures[0].startswith("finding the cues of proxy:spread, seed 7: ")
    assert "no such luck" in failures[0]
    assert failures[1:] == [
        f"{name}, seed 7: its cues cannot be found, see above"
        for name in ("proxy:spread", "random_mask:spread", "proxy:again")
    ]


def test_controls_take_the_same_cues(plan):
    made = plan("proxy:spread: {cues: 'arm:none'}", seeds=(1,), controls=True)
    results, _ = study_run.run(made, workers=2, quiet=True)
    assert sorted(results.table["arm"]) == [
        *("erasing:spread", "none", "proxies_off:spread", "proxy:spread", "random_mask:spread")
    ]
    assert len(list((made.folder / "cues").iterdir())) == 1


@pytest.mark.parametrize(
    ("recipes", "message"),
    [
        (
            "proxy:a: {cues: 'arm:plain'}",
            "'proxy:a' takes its cues from the arm 'plain', which must be in the study. Received: "
            "none, proxy:a",
        ),
        (
            "proxy:a: {cues: 'arm:proxy:b'}\nproxy:b: {cues: 'arm:proxy:a'}",
            "in a circle. Received: proxy:a from proxy:b from proxy:a. Use `cues: arm:none`",
        ),
        ("proxy:a: {cues: 'arm:proxy:a'}", "Received: proxy:a from proxy:a"),
        (
            "proxy:c: {cues: 'arm:proxy:a'}\nproxy:a: {cues: 'arm:proxy:a', show: 0.4}",
            "Received: proxy:a from proxy:a",
        ),
        ("proxy:a: {cues: there, object_share: 0.1}", "`object_share` needs `cues='outside'`"),
        ("proxy:a: {cues: planted, cue_outside: 0.1}", "`cue_outside` needs `cues='outside'`"),
    ],
)
def test_cues_that_cannot_be_had_are_refused_at_once(tmp_path, recipes, message):
    with pytest.raises(ValueError) as caught:
        arms_of(tmp_path, recipes)
    assert message in str(caught.value)


def test_a_missing_folder_of_cues_is_named_before_anything_runs(tmp_path, capsys):
    (tmp_path / "recipes.yaml").write_text("proxy:ticked: {cues: nowhere}")
    words = ["--data", "digits", "--arms", str(tmp_path / "recipes.yaml"), "--no-controls"]
    assert study.main([*words, "--out", str(tmp_path / "s")]) == 2
    said = capsys.readouterr().err
    assert "The arm 'proxy:ticked' needs a folder of cues with a cues.json" in said
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (None, "none"),
        ({}, "none"),
        ({"spare": 0.4}, "objects of all training images"),
        ({"cues": "arm:none", "object_share": 0.01}, "objects of 1% of the training images"),
        ({"cues": "outside"}, "objects of 100% of the training images"),
        ({"cues": "planted"}, "the planted shortcut"),
        ({"cues": "/some/where"}, "ticked cues in where"),
    ],
)
def test_supervision(settings, told):
    proxy = None if settings is None else ProxyConfig(**settings)
    assert supervision(TrainConfig(DataConfig("decoy_digits"), proxy)) == told


@pytest.mark.parametrize(
    ("robust", "proxy", "told"),
    [
        ("jtt", None, "none"),
        ("energy_loss:share=0.01", None, "objects of 1% of the training images"),
        ("class_balanced", ProxyConfig(cues="planted"), "the planted shortcut"),
        ("group_dro", None, "groups of the training images"),
        (
            "dfr",
            ProxyConfig(cues="outside"),
            "objects of 100% of the training images; groups of the validation images",
        ),
    ],
)
def test_supervision_of_robust_methods(robust, proxy, told):
    assert supervision(TrainConfig(DataConfig("decoy_digits"), proxy, robust=robust)) == told


def test_cues_are_found_in_the_network_of_a_robust_arm(plan):
    made = plan("first: {no_proxy: true, robust: jtt}\nproxy:a: {cues: 'arm:first'}")
    [run] = [run for run in made.runs() if run.arm.name == "proxy:a" and run.seed == 0]
    assert run.finding.config.robust is None and run.finding.config.proxy.cues == "arm:first"


@pytest.mark.parametrize(
    ("name", "source", "count"),
    [("cues_decoy_digits", "decoy_digits", 13), ("cues_no_shortcut", "clutter_digits", 5)],
)
def test_the_recipes_of_the_documentation_fit_their_data(name, source, count):
    base = TrainConfig(DataConfig(source), ProxyConfig(), epochs=15)
    arms = make_arms([f"docs/studies/{name}.yaml"], base, controls=False)
    assert len(arms) == count
    for arm in arms:
        arm.config.check_schedule()
