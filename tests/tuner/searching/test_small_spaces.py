"""Searches of spaces smaller than what is asked for: all is tried, and the best trained in full."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from keras_tuner.engine.trial import TrialStatus

from tests.tuner.searching.oracle_runs import DeadlyFiles, Killed, found, run
from tuner.searching.oracle_files import OracleFiles
from tuner.searching.oracles import make_oracle
from tuner.searching.space import Space

# KerasTuner asks for its thread by methods of an earlier Python.
pytestmark = [
    pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:getName:DeprecationWarning"),
]


def choices(count: int) -> Space:
    """Return a space of so many combinations."""
    values = [round(0.02 * number, 2) for number in range(1, count + 1)]
    return Space.from_dict({"parameters": {"threshold": {"type": "choice", "values": values}}})


def small_oracle(
    algorithm: str, count: int, folder: Path, *, trials: int | None = None, epochs: int = 9
) -> Any:
    return make_oracle(
        algorithm,
        space=choices(count).hyperparameters(),
        objective="val_accuracy",
        trials=trials,
        epochs=epochs,
        min_epochs=1,
        seed=0,
        files=OracleFiles(folder),
    )


def by_threshold(values: dict[str, Any]) -> float:
    return float(values["threshold"])


# Sizes of the brackets of 9 epochs: 9 trials of 1 epoch, 3 of 3, 1 of 9; then 5 and 2; then 3.
@pytest.mark.parametrize(
    ("count", "epochs", "full"),
    [
        (1, [1, 3, 9], [0.02]),
        (2, [1] * 2 + [3] * 2 + [9], [0.04]),
        (4, [1] * 4 + [3] * 3 + [9], [0.08]),
        (9, [1] * 9 + [3] * 3 + [9], [0.18]),
        (11, [1] * 9 + [3] * 3 + [9] + [3] * 2 + [9] * 2, None),
        (15, [1] * 9 + [3] * 3 + [9] + [3] * 5 + [9] * 2 + [9], None),
    ],
)
def test_hyperband_trains_the_best_of_a_small_space_in_full(
    count: int, epochs: list[int], full: list[float] | None, tmp_path: Path
) -> None:
    oracle = small_oracle("hyperband", count, tmp_path)
    run(oracle, score=by_threshold)
    trials = [trial.hyperparameters.values for trial in oracle.trials.values()]
    assert [values["tuner/epochs"] for values in trials] == epochs
    first = {values["threshold"] for values in trials if values["tuner/round"] == 0}
    assert len(first) == count
    if full is not None:
        assert [v["threshold"] for v in trials if v["tuner/epochs"] == 9] == full


def test_a_kill_of_hyperband_in_a_small_space_changes_nothing(tmp_path: Path) -> None:
    whole = small_oracle("hyperband", 4, tmp_path / "whole")
    run(whole, score=by_threshold)
    for writes in range(0, 40, 3):
        folder = tmp_path / str(writes)
        oracle = small_oracle("hyperband", 4, folder)
        oracle.files = DeadlyFiles(folder, writes)
        with pytest.raises(Killed):
            run(oracle, score=by_threshold)
        oracle = small_oracle("hyperband", 4, folder)
        oracle.restore()
        oracle.requeue_all()
        run(oracle, score=by_threshold)
        assert found(oracle, by_threshold) == found(whole, by_threshold)


@pytest.mark.parametrize("failing", [1, 3, 7, 8])
def test_hyperband_promotes_what_is_left_when_trials_fail(failing: int, tmp_path: Path) -> None:
    oracle = small_oracle("hyperband", 9, tmp_path)
    run(oracle, fails=lambda trial_id: int(trial_id) < failing, score=by_threshold)
    done = [t for t in oracle.trials.values() if t.status == TrialStatus.COMPLETED]
    left = sorted(by_threshold(t.hyperparameters.values) for t in done[: 9 - failing])[::-1]
    promoted = [t.hyperparameters.values for t in done[9 - failing :]]
    assert [v["tuner/epochs"] for v in promoted] == [3] * min(3, 9 - failing) + [9]
    assert [v["threshold"] for v in promoted] == [*left[:3], left[0]]


def test_hyperband_ends_when_all_trials_of_a_small_space_fail(tmp_path: Path) -> None:
    oracle = small_oracle("hyperband", 4, tmp_path)
    run(oracle, fails=lambda trial_id: True)
    assert [trial.status for trial in oracle.trials.values()] == [TrialStatus.FAILED] * 4


@pytest.mark.parametrize("algorithm", ["random", "bayesian", "grid"])
@pytest.mark.parametrize("count", [2, 12, 30])
def test_small_spaces_are_tried_completely(algorithm: str, count: int, tmp_path: Path) -> None:
    # KerasTuner's own limit of collisions leaves some out.
    oracle = small_oracle(algorithm, count, tmp_path, trials=100)
    run(oracle, score=by_threshold)
    tried = [trial.hyperparameters.values["threshold"] for trial in oracle.trials.values()]
    assert sorted(tried) == [round(0.02 * number, 2) for number in range(1, count + 1)]
