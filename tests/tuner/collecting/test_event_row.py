"""Event files of other tools become one row per run, by the words in their tags."""

import math

import pytest

from tests.tuner.fake_runs import write_events
from tuner.collecting.event_row import read_events


def _read(folder):
    return read_events(sorted(folder.rglob("events.out.tfevents.*")))


def test_what_keras_callback_leaves_is_one_row(tmp_path):
    write_events(tmp_path / "train", {"epoch_accuracy": {0: 0.5, 1: 0.75}, "epoch_loss": {1: 2.0}})
    write_events(
        tmp_path / "validation",
        {
            "epoch_accuracy": {0: 0.5, 1: 0.25},
            "evaluation_accuracy_vs_iterations": {99: 0.125},
            "epoch_loss": {0: 1.0, 1: 3.0},
        },
    )
    row = _read(tmp_path)
    assert row["status"] == "events"
    assert (row["train_accuracy"], row["train_loss"]) == (0.75, 2.0)
    assert (row["val_accuracy"], row["best_val_accuracy"], row["val_loss"]) == (0.25, 0.5, 3.0)
    assert row["event_validation_evaluation_accuracy_vs_iterations"] == 0.125
    assert row["epochs_done"] == 2
    assert "test_accuracy" not in row


@pytest.mark.parametrize("tag", ["val_acc", "val/accuracy", "Accuracy/valid", "eval.acc"])
def test_tags_of_other_loggers(tmp_path, tag):
    write_events(tmp_path / "run", {tag: {1: 0.5, 2: 0.25}, "val_top5_acc": {1: 1.0}})
    row = _read(tmp_path)
    assert (row["val_accuracy"], row["best_val_accuracy"]) == (0.25, 0.5)


def test_per_cent_becomes_a_share(tmp_path):
    write_events(tmp_path / "run", {"test_acc": {0: 0.5, 1: 50.0}})
    assert _read(tmp_path)["test_accuracy"] == 0.5


def test_a_tag_that_names_no_split_is_kept_under_its_own_name_only(tmp_path):
    write_events(tmp_path / "run", {"accuracy": {0: 0.5}, "grad norm": {0: 2.0}})
    row = _read(tmp_path)
    assert (row["event_accuracy"], row["event_grad_norm"]) == (0.5, 2.0)
    assert not {"train_accuracy", "val_accuracy", "test_accuracy"} & set(row)


def test_tags_that_look_alike_are_both_kept(tmp_path):
    write_events(tmp_path / "run", {"a/b": {0: 1.0}, "a-b": {0: 2.0}, "a b": {0: 3.0}})
    row = _read(tmp_path)
    assert [row["event_a_b"], row["event_a_b_2"], row["event_a_b_3"]] == [3.0, 2.0, 1.0]


def test_no_number_is_not_the_best(tmp_path):
    write_events(tmp_path / "run", {"val_acc": {0: math.nan, 1: 0.5}})
    assert _read(tmp_path)["best_val_accuracy"] == 0.5


def test_event_files_without_scalars_are_a_row_too(tmp_path):
    write_events(tmp_path / "run", {})
    assert _read(tmp_path)["status"] == "events"
