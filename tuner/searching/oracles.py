"""Resumable versions of KerasTuner's four oracles; see `ResumableOracle`."""

from __future__ import annotations

import itertools
import math
import warnings
from typing import Any

import numpy as np
from keras_tuner import Objective, oracles
from keras_tuner.engine.trial import TrialStatus
from sklearn.exceptions import ConvergenceWarning

from tuner.searching.objectives import OBJECTIVES
from tuner.searching.oracle_files import OracleFiles
from tuner.searching.resumable_oracle import ResumableOracle

_CANDIDATES = 1_000
# KerasTuner gives up after 20, which leaves out the last combinations of a small space.
_MAX_COLLISIONS = 1_000


class RandomOracle(ResumableOracle, oracles.RandomSearchOracle):
    """Random search."""


class GridOracle(ResumableOracle, oracles.GridSearchOracle):
    """Grid search that saves its position."""

    _ordered_ids: Any

    def get_state(self) -> dict[str, Any]:
        """Return the whole state as JSON values."""
        state = super().get_state()
        order, index = [], self._ordered_ids._next_index[None]
        while index is not None:
            order.append(self._ordered_ids._memory[index])
            index = self._ordered_ids._next_index[index]
        return {**state, "ordered_ids": order, "populate_next": list(self._populate_next)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore a state returned by `get_state`."""
        super().set_state(state)
        self._set_order(state["ordered_ids"], state["populate_next"])

    def _set_order(self, ordered_ids: list[str], populate_next: list[str]) -> None:
        self._ordered_ids = type(self._ordered_ids)()
        for trial_id in ordered_ids:
            self._ordered_ids.insert(trial_id)
        self._populate_next = list(populate_next)

    def _is_random(self, trial: Any) -> bool:
        return False

    def _rebuild_order(self, trials: list[Any]) -> None:
        # A grid starts at its lowest combination and only increases.
        ids = [trial.trial_id for trial in trials]
        self._set_order(ids, ids)


class BayesianOracle(ResumableOracle, oracles.BayesianOptimizationOracle):
    """Bayesian optimisation that saves its random state and repeats no trial.

    KerasTuner searches for the best continuous point and rounds it to the choices. If that gives
    an earlier trial, repeating it adds nothing, and the next proposal is the same again.
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the values of the next trial; see `keras_tuner.Oracle`."""
        with warnings.catch_warnings():
            # A few trials do not determine the length scale.
            warnings.simplefilter("ignore", ConvergenceWarning)
            proposal = super().populate_space(trial_id)
            if proposal["values"] is None or not self._was_tried(proposal["values"]):
                return proposal
            return self._untried(trial_id)

    def _was_tried(self, values: dict[str, Any]) -> bool:
        return any(values == trial.hyperparameters.values for trial in self.trials.values())

    def _untried(self, trial_id: str) -> dict[str, Any]:
        """Return the best of some untried values, by KerasTuner's acquisition function."""
        # Seeded by the trial, because a rebuilt search has no other random state.
        draw = np.random.default_rng([self.seed, int(trial_id)])
        bounds = self._get_hp_bounds()
        drawn = draw.uniform(bounds[:, 0], bounds[:, 1], size=(_CANDIDATES, len(bounds)))
        made = [self._vector_to_values(vector) for vector in drawn]
        untried = [values for values in made if not self._was_tried(values)]
        if not untried:
            # In such a small space, KerasTuner finds the remaining values or ends the search.
            return self._random_populate_space()
        means, deviations = self.gpr.predict(
            np.array([self._vector_of(values) for values in untried]), return_std=True
        )
        best = int(np.argmin(means - self.beta * deviations))
        return {"status": TrialStatus.RUNNING, "values": untried[best]}

    def _vector_of(self, values: dict[str, Any]) -> list[float]:
        """Return values as coordinates in the space, with the defaults of inactive ones."""
        return [hp.value_to_prob(values.get(hp.name, hp.default)) for hp in self._nonfixed_space()]

    def get_state(self) -> dict[str, Any]:
        """Return the whole state as JSON values."""
        name, keys, *rest = self._random_state.get_state()
        return {**super().get_state(), "random_state": [name, keys.tolist(), *rest]}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore a state returned by `get_state`."""
        super().set_state(state)
        name, keys, *rest = state["random_state"]
        self._random_state.set_state((name, np.asarray(keys, np.uint32), *rest))

    def _is_random(self, trial: Any) -> bool:
        return int(trial.trial_id) < self.num_initial_points

    def _rebuild_order(self, trials: list[Any]) -> None:
        for trial in trials:
            if not self._is_random(trial):
                self._random_state.uniform(size=(50, len(self._nonfixed_space())))


class HyperbandOracle(ResumableOracle, oracles.HyperbandOracle):
    """Hyperband with a minimum length of training runs, for spaces of any size.

    KerasTuner stops when there are no new values for the short runs, and promotes too few trials if
    others have failed. Here the best of those that are completed go on to the longer runs.

    Args:
        min_epochs: Epochs of the shortest runs, >= 1.
        options: Options of KerasTuner's oracle.
    """

    def __init__(self, *, min_epochs: int, **options: Any) -> None:
        self._shortest = min_epochs
        super().__init__(**options)
        self.min_epochs = min_epochs

    def epoch_counts(self) -> list[int]:
        """Return all numbers of epochs that a trial may have, ascending."""
        brackets = range(self._get_num_brackets())
        return sorted({self._get_epochs(b, r) for b in brackets for r in range(b + 1)})

    def trials_per_iteration(self) -> int:
        """Return the number of trials of all brackets, each run once."""
        brackets = range(self._get_num_brackets())
        return sum(self._get_size(b, r) for b in brackets for r in range(b + 1))

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the values of the next trial; see `keras_tuner.Oracle`."""
        proposal = self._promotion(trial_id, is_exhausted=False)
        if proposal is not None:
            return proposal
        seed_state = self._seed_state
        proposal = super().populate_space(trial_id)
        if proposal["status"] == TrialStatus.RUNNING:
            return proposal
        # Draws that found nothing must not change later ones.
        self._seed_state = seed_state
        return self._promotion(trial_id, is_exhausted=True) or proposal

    def _promotion(self, trial_id: str, *, is_exhausted: bool) -> dict[str, Any] | None:
        """Return the values of a longer run of an ended trial; None if there is none yet.

        Args:
            trial_id: The id of the new trial.
            is_exhausted: Whether the shortest runs of a bracket will not become more.
        """
        for bracket in self._brackets:
            number, rounds = bracket["bracket_num"], bracket["rounds"]
            # Trials of a round that are completed or may still be.
            expected = len(rounds[0]) if is_exhausted else self._get_size(number, 0)
            if len(rounds[0]) < expected:
                return None
            for level, (past, new) in enumerate(itertools.pairwise(rounds)):
                trials = [self.trials[entry["id"]] for entry in past]
                completed = [t for t in trials if t.status == TrialStatus.COMPLETED]
                expected -= sum(t.status == TrialStatus.FAILED for t in trials)
                pending = expected - len(completed)
                expected = min(expected, self._get_size(number, level + 1))
                # With the trials that are pending, the best may turn out to be this much worse.
                if len(new) + pending >= expected:
                    continue
                promoted = {entry["past_id"] for entry in new}
                sign = -1 if self.objective.direction == "max" else 1
                best = min(
                    (t for t in completed if t.trial_id not in promoted),
                    key=lambda trial: sign * trial.score,
                )
                new.append({"past_id": best.trial_id, "id": trial_id})
                changes = {
                    "tuner/trial_id": best.trial_id,
                    "tuner/epochs": self._get_epochs(number, level + 1),
                    "tuner/initial_epoch": self._get_epochs(number, level),
                    "tuner/bracket": number,
                    "tuner/round": level + 1,
                }
                values = best.hyperparameters.values | changes
                return {"status": TrialStatus.RUNNING, "values": values}
        return None

    def _get_num_brackets(self) -> int:
        return max(
            1, math.floor(math.log(self.max_epochs / self._shortest, self.factor) + 1e-9) + 1
        )

    def _is_random(self, trial: Any) -> bool:
        return bool(trial.hyperparameters.values["tuner/round"] == 0)

    def _rebuild_order(self, trials: list[Any]) -> None:
        top = self._get_num_brackets() - 1
        brackets: list[dict[str, Any]] = []
        for trial in trials:
            values = trial.hyperparameters.values
            number, past = values["tuner/round"], values.get("tuner/trial_id")
            bracket = self._bracket_of(brackets, number, past)
            if bracket is None and number == 0:
                # Bracket numbers count down, then start again from the top.
                next_down = (brackets[-1]["bracket_num"] or top + 1) - 1 if brackets else top
                bracket = {"bracket_num": next_down, "rounds": [[] for _ in range(next_down + 1)]}
                brackets.append(bracket)
            if bracket is not None:
                bracket["rounds"][number].append({"past_id": past, "id": trial.trial_id})
        if brackets:
            self._brackets = brackets
            self._current_bracket = brackets[-1]["bracket_num"]
            self._current_iteration = (len(brackets) - 1) // (top + 1)

    def _bracket_of(
        self, brackets: list[dict[str, Any]], number: int, past: str | None
    ) -> dict[str, Any] | None:
        """Return the bracket of a trial; None if it starts a new one."""
        for bracket in brackets:
            rounds = bracket["rounds"]
            if number == 0:
                if len(rounds[0]) < self._get_size(bracket["bracket_num"], 0):
                    return bracket
            elif number < len(rounds) and any(i["id"] == past for i in rounds[number - 1]):
                return bracket
        return None


def make_oracle(
    algorithm: str,
    *,
    space: Any,
    objective: str,
    trials: int | None,
    epochs: int,
    min_epochs: int,
    seed: int,
    files: OracleFiles,
) -> Any:
    """Return the oracle of an algorithm, without trials.

    Args:
        algorithm: `random`, `grid`, `bayesian` or `hyperband`.
        space: `HyperParameters` of KerasTuner.
        objective: One of `OBJECTIVES`.
        trials: Maximum number of trials; None: the whole grid, or each hyperband bracket once.
        epochs: Epochs of the longest runs.
        min_epochs: Epochs of the shortest runs, for hyperband.
        seed: >= 0.
        files: Files of the state.
    """
    options: dict[str, Any] = {
        "objective": Objective(objective, OBJECTIVES[objective]),
        "hyperparameters": space,
        # KerasTuner treats 0 as no seed.
        "seed": seed + 1,
        # Many combinations of a grid may be invalid; `Search` stops if all trials fail.
        "max_consecutive_failed_trials": -1,
    }
    oracle: Any
    if algorithm == "hyperband":
        # `max_trials` limits the number of trials instead.
        options |= {"max_epochs": epochs, "min_epochs": min_epochs, "hyperband_iterations": 10**9}
        oracle = HyperbandOracle(**options)
        oracle.max_trials = trials or oracle.trials_per_iteration()
    elif algorithm == "bayesian":
        # KerasTuner's default of 3 per setting would make a short search entirely random.
        initial = min(3 * len(space.space), max(3, (trials or 0) // 3))
        oracle = BayesianOracle(max_trials=trials, num_initial_points=initial, **options)
    else:
        kinds = {"random": RandomOracle, "grid": GridOracle}
        oracle = kinds[algorithm](max_trials=trials, **options)
    oracle.verbose = 0
    oracle._max_collisions = _MAX_COLLISIONS
    oracle.files = files
    return oracle
