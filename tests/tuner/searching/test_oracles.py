"""Oracles resume identically after a kill between any writes, or with any file damaged."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from keras_tuner.engine.trial import TrialStatus

from tests.tuner.searching.oracle_runs import DeadlyFiles, Found, Killed, found, run, score
from tuner.searching.oracle_files import OracleFiles
from tuner.searching.oracles import make_oracle
from tuner.searching.space import Space

# KerasTuner asks for its thread by methods of an earlier Python.
pytestmark = [
    pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:getName:DeprecationWarning"),
]

SPACE = Space.from_dict(
    {
        "parameters": {
            "weight": {"type": "float", "min": 0.2, "max": 0.8, "when": {"replacement": "blended"}},
            "replacement": {"type": "choice", "values": ["blended", "black", "blur"]},
            "clear_every_step": {"type": "choice", "values": [True, False]},
        }
    }
)
GRID = Space.from_dict(
    {
        "parameters": {
            "weight": {
                "type": "float",
                "min": 0.2,
                "max": 0.8,
                "step": 0.3,
                "when": {"replacement": "blended"},
            },
            "replacement": {"type": "choice", "values": ["blended", "black", "blur"]},
        }
    }
)
TRIALS = {"random": 5, "grid": None, "bayesian": 5, "hyperband": 7}
ALGORITHMS = list(TRIALS)


def new_oracle(algorithm: str, files: OracleFiles, *, trials: int | None = None) -> Any:
    """Return an oracle as in a new process."""
    space = GRID if algorithm == "grid" else SPACE
    return make_oracle(
        algorithm,
        space=space.hyperparameters(),
        objective="val_accuracy",
        trials=trials or TRIALS[algorithm],
        epochs=6,
        min_epochs=2,
        seed=3,
        files=files,
    )


def resumed(algorithm: str, folder: Path) -> tuple[Any, list[str]]:
    """Return a restored oracle of a new process, and its messages."""
    oracle = new_oracle(algorithm, OracleFiles(folder))
    messages = oracle.restore()
    oracle.requeue_all()
    return oracle, messages


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Found]]:
    """Return the trials of each algorithm without interruptions."""
    tried = {}
    for algorithm in ALGORITHMS:
        oracle = new_oracle(algorithm, OracleFiles(tmp_path_factory.mktemp(algorithm)))
        run(oracle)
        tried[algorithm] = found(oracle)
    yield tried


def test_the_grid_is_complete_and_in_order(unbroken: dict[str, Found]) -> None:
    assert [values for _, values in unbroken["grid"]] == [
        {"replacement": "blended", "weight": 0.2},
        {"replacement": "blended", "weight": 0.5},
        {"replacement": "blended", "weight": 0.8},
        {"replacement": "black"},
        {"replacement": "blur"},
    ]


def test_hyperband_halves(unbroken: dict[str, Found]) -> None:
    epochs = [values["tuner/epochs"] for _, values in unbroken["hyperband"]]
    assert epochs == [2, 2, 2, 2, 2, 6, 6]
    first = unbroken["hyperband"][:5]
    best = sorted(first, key=lambda entry: -score(entry[1]))[:2]
    again = [values["tuner/trial_id"] for _, values in unbroken["hyperband"][5:]]
    assert again == [trial_id for trial_id, _ in best]


@pytest.mark.parametrize("algorithm", ["random", "grid", "hyperband"])
def test_a_kill_at_any_write_changes_nothing(
    algorithm: str, tmp_path: Path, unbroken: dict[str, Found]
) -> None:
    # Five writes a trial: every third one is each kind of them in turn.
    for writes in range(0, 100, 3):
        folder = tmp_path / str(writes)
        try:
            oracle = new_oracle(algorithm, DeadlyFiles(folder, writes))
            oracle.restore()
            run(oracle)
            break
        except Killed:
            oracle, messages = resumed(algorithm, folder)
            run(oracle)
            assert found(oracle) == unbroken[algorithm] and messages == []
    assert writes > 20


# After the first and after the second draw that a Gaussian process proposed.
@pytest.mark.parametrize("writes", [18, 22])
def test_a_kill_of_a_bayesian_search_changes_nothing(
    writes: int, tmp_path: Path, unbroken: dict[str, Found]
) -> None:
    with pytest.raises(Killed):
        run(new_oracle("bayesian", DeadlyFiles(tmp_path, writes)))
    oracle, _ = resumed("bayesian", tmp_path)
    run(oracle)
    assert found(oracle) == unbroken["bayesian"]


CHOICES = Space.from_dict(
    {
        "parameters": {
            "weight": {
                "type": "choice",
                "values": [0.2, 0.4, 0.8],
                "when": {"replacement": "blended"},
            },
            "replacement": {"type": "choice", "values": ["blended", "black", "blur", "mean"]},
            "clear_every_step": {"type": "choice", "values": [True, False]},
        }
    }
)
COMBINATIONS = (3 + 3) * 2


def bayesian_over_choices(folder: Path, trials: int) -> Any:
    return make_oracle(
        "bayesian",
        space=CHOICES.hyperparameters(),
        objective="val_accuracy",
        trials=trials,
        epochs=6,
        min_epochs=2,
        seed=0,
        files=OracleFiles(folder),
    )


def test_a_bayesian_search_tries_nothing_twice_but_the_most_promising(tmp_path: Path) -> None:
    oracle = bayesian_over_choices(tmp_path, 10)
    run(oracle)
    tried = [json.dumps(values, sort_keys=True) for _, values in found(oracle)]
    assert len(tried) == len(set(tried)) == 10
    # Once the best is known, those near it come before the rest: "blended" with much weight.
    by_model = [values for _, values in found(oracle)][oracle.num_initial_points :]
    assert max(map(score, by_model)) == score({"weight": 0.8, "replacement": "blended"})


def test_a_bayesian_search_ends_when_all_is_tried(tmp_path: Path) -> None:
    oracle = bayesian_over_choices(tmp_path, 50)
    run(oracle)
    assert len(found(oracle)) == COMBINATIONS


@pytest.mark.parametrize(
    ("algorithm", "damaged"),
    [
        *itertools.product(
            ["random", "grid", "hyperband"],
            [["oracle.json"], ["trial_1/trial.json"], ["oracle.json", "trial_2/trial.json"]],
        ),
        *((algorithm, ["oracle.json", "oracle.previous.json"]) for algorithm in ALGORITHMS),
    ],
)
def test_truncated_files_are_repaired(
    algorithm: str, damaged: list[str], tmp_path: Path, unbroken: dict[str, Found]
) -> None:
    with pytest.raises(Killed):
        run(new_oracle(algorithm, DeadlyFiles(tmp_path, 13)))
    # KerasTuner pads its numbers to the width of the number of trials, which a grid does not know.
    pad = {"grid": "000", "hyperband": ""}.get(algorithm, "")
    paths = [tmp_path / name.replace("trial_", f"trial_{pad}") for name in damaged]
    for path in paths:
        text = path.read_text()
        path.write_text(text[: len(text) // 2])
    oracle, messages = resumed(algorithm, tmp_path)
    named = [path for path in paths if any(str(path) in message for message in messages)]
    assert named == paths
    assert all(path.with_name(f"{path.name}.damaged-1").exists() for path in paths)
    assert len(oracle.end_order) >= 2
    run(oracle)
    assert found(oracle) == unbroken[algorithm]
    for path in tmp_path.rglob("*.json"):
        assert json.loads(path.read_text())


def test_a_trial_of_which_nothing_is_left_is_failed_and_its_number_is_not_used_again(
    tmp_path: Path, unbroken: dict[str, Found]
) -> None:
    run(new_oracle("grid", OracleFiles(tmp_path)))
    for path in tmp_path.glob("oracle*.json"):
        path.unlink()
    (tmp_path / "trial_0001" / "trial.json").write_text("{")
    oracle, _ = resumed("grid", tmp_path)
    run(oracle)
    lost = oracle.trials["0001"]
    assert (lost.status, lost.message) == (TrialStatus.FAILED, "its record is lost")
    # The combination that it had is tried again.
    expected = dict(unbroken["grid"])
    expected["0005"] = expected.pop("0001")
    kept = {i: t.hyperparameters.values for i, t in oracle.trials.items() if i != "0001"}
    assert kept == expected


def test_failed_trials_do_not_end_a_search(tmp_path: Path) -> None:
    oracle = new_oracle("random", OracleFiles(tmp_path), trials=8)
    run(oracle, fails=lambda trial_id: int(trial_id) < 6)
    statuses = [trial.status for trial in oracle.trials.values()]
    assert statuses == ["FAILED"] * 6 + ["COMPLETED"] * 2


def test_asking_in_vain_does_not_change_what_is_drawn(tmp_path: Path) -> None:
    space = Space.from_dict({"parameters": {"show": {"type": "choice", "values": [0.5, 1.0]}}})
    oracle = make_oracle(
        "random",
        space=space.hyperparameters(),
        objective="val_loss",
        trials=9,
        epochs=2,
        min_epochs=2,
        seed=0,
        files=OracleFiles(tmp_path),
    )
    for tuner_id in ("one", "two"):
        assert oracle.create_trial(tuner_id).status == TrialStatus.RUNNING
    before = oracle.get_state()
    for _ in range(3):
        assert oracle.create_trial("three").status == TrialStatus.IDLE
    assert oracle.get_state() == before


def test_more_trials_go_on_with_the_search(tmp_path: Path, unbroken: dict[str, Found]) -> None:
    run(new_oracle("random", OracleFiles(tmp_path), trials=2))
    oracle, _ = resumed("random", tmp_path)
    assert len(oracle.trials) == 2
    run(oracle)
    assert found(oracle) == unbroken["random"]


def test_a_worker_that_is_gone_leaves_its_trial_to_another(tmp_path: Path) -> None:
    oracle = new_oracle("random", OracleFiles(tmp_path), trials=2)
    one, two = oracle.create_trial("one"), oracle.create_trial("two")
    # It is not sent home: the other might die.
    assert oracle.create_trial("three").status == TrialStatus.IDLE
    assert oracle.requeue("one") is one and oracle.requeue("one") is None
    again = oracle.create_trial("three")
    assert again is one and again.status == TrialStatus.RUNNING
    # The first was not dead after all, and is the first to report.
    for trial in (one, two, again):
        oracle.update_trial(trial.trial_id, {"val_accuracy": 0.5}, step=6)
        trial.status = TrialStatus.COMPLETED
        oracle.end_trial(trial)
    assert oracle.end_order == [one.trial_id, two.trial_id] and not oracle.ongoing_trials
    assert oracle.create_trial("three").status == TrialStatus.STOPPED
