"""The weights of the best epoch come back exactly, whenever a run is interrupted."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from proxy_keras.training.selected_epochs import SelectedEpochs
from proxy_keras.training.selections import MEASURES, WORST_CLASS, WORST_GROUP, measures_of


@pytest.fixture
def model():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1), keras.layers.Dropout(0.5)])


def set_to(model, value):
    for weight in model.weights:
        weight.assign(np.full(weight.shape, value))


def after(selected, model, epoch, worst_class, worst_group=None):
    """Update with an epoch after which all weights are its number."""
    set_to(model, epoch)
    logs = {WORST_CLASS: worst_class}
    selected.update(
        epoch, logs if worst_group is None else logs | {WORST_GROUP: worst_group}, model
    )


def values(selected, model, name):
    with selected.weights_of(selected.epochs[name].epoch, model):
        return {float(value) for weight in model.weights for value in np.ravel(weight.numpy())}


def test_the_first_of_the_best_epochs_is_selected(model, tmp_path):
    selected = SelectedEpochs(tmp_path)
    for epoch, worst in enumerate([(0.1, 0.3), (0.5, 0.2), (0.5, 0.3), (0.4, 0.1)], start=1):
        after(selected, model, epoch, *worst)
        selected.tidy()
    assert {name: one.epoch for name, one in selected.epochs.items()} == {
        "worst_class": 2,
        "worst_group": 1,
    }
    assert selected.epochs["worst_class"].value == 0.5
    set_to(model, 9.0)
    assert values(selected, model, "worst_class") == {2.0}
    assert values(selected, model, "worst_group") == {1.0}
    assert float(model.weights[0].numpy().max()) == 9.0
    assert sorted(file.name for file in (tmp_path / "selected").iterdir()) == [
        "epoch_0001.npz",
        "epoch_0002.npz",
    ]


def test_without_groups_only_the_worst_class_selects(model, tmp_path):
    selected = SelectedEpochs(tmp_path)
    after(selected, model, 1, 0.1)
    assert list(selected.epochs) == ["worst_class"]


def test_a_crash_before_the_state_is_saved_loses_no_weights(model, tmp_path):
    selected = SelectedEpochs(tmp_path)
    after(selected, model, 1, 0.5)
    selected.tidy()
    saved = selected.get_state()
    # The process ends after the weights of epoch 2, before its checkpoint.
    after(selected, model, 2, 0.9)
    resumed = SelectedEpochs(tmp_path)
    resumed.set_state(saved)
    assert values(resumed, model, "worst_class") == {1.0}
    after(resumed, model, 2, 0.4)
    resumed.tidy()
    assert values(resumed, model, "worst_class") == {1.0}
    assert [file.name for file in (tmp_path / "selected").iterdir()] == ["epoch_0001.npz"]


def test_measures_come_from_scores_and_groups():
    scores = {"accuracy": 0.9, "balanced_accuracy": 0.8, "groups": {"worst_group_accuracy": 0.1}}
    found = measures_of(scores)
    assert tuple(found) == MEASURES
    assert found["worst_group_accuracy"] == 0.1 and found["accuracy"] == 0.9
    assert found["adjusted_average"] is None and measures_of({})["accuracy"] is None
