"""Event files of other tools become one row per run, by the words in their tags."""

import math

import pytest

from tests.tuner.fake_runs import write_events, write_hparams
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


@pytest.mark.parametrize(
    ("values", "share"),
    [
        ([0.5, 1.0000001], 1.0),
        ([1.0000001, 0.75], 0.75),
        ([0.5, -1e-7], 0.0),
        ([0.25, 1.0], 1.0),
        ([0.125, 1.25], 0.0125),
        ([50.0, 100.00001], 1.0),
        ([250.0, 300.0], None),
        ([-0.5, 0.25], None),
        ([0.5, math.inf], None),
    ],
)
def test_accuracies_are_shares_or_per_cent_or_neither(tmp_path, values, share):
    write_events(tmp_path / "run", {"val_acc": dict(enumerate(values))})
    row = _read(tmp_path)
    assert row.get("val_accuracy") == (share if share is None else pytest.approx(share, abs=1e-12))
    assert row["event_val_acc"] == pytest.approx(values[-1], rel=1e-7)


def test_rounding_above_one_changes_no_other_value(tmp_path):
    write_events(tmp_path / "run", {"val_acc": {0: 1.0000001, 1: 0.75}})
    row = _read(tmp_path)
    assert (row["val_accuracy"], row["best_val_accuracy"]) == (0.75, 1.0)


@pytest.mark.parametrize("tags", [("train_acc", "val_acc"), ("acc/train", "acc/val")])
def test_the_splits_of_one_writer_have_one_unit(tmp_path, tags):
    # The first epochs of many classes: 0.75 is per cent, too.
    series = {tags[0]: {0: 0.5, 1: 12.5}, tags[1]: {0: 0.5, 1: 0.75}, "test_accuracy": {1: 0.25}}
    write_events(tmp_path / "run", series)
    row = _read(tmp_path)
    assert (row["train_accuracy"], row["val_accuracy"]) == (0.125, 0.0075)
    assert row["test_accuracy"] == 0.25


def test_what_pytorchs_writer_leaves_is_one_row(tmp_path):
    write_events(tmp_path / "a", {"lr": {0: 0.5}}, is_old_style=True)
    for curve, value in (("train", 0.75), ("val", 0.5)):
        write_events(tmp_path / "a" / f"acc_{curve}", {"acc": {1: value}}, is_old_style=True)
    write_hparams(tmp_path / "a" / "1700000000.25", {"hparam/accuracy": 0.25})
    row = _read(tmp_path / "a")
    assert (row["train_accuracy"], row["val_accuracy"]) == (0.75, 0.5)
    assert {name: value for name, value in row.items() if name.startswith("event_")} == {
        "event_a_lr": 0.5,
        "event_acc_train_acc": 0.75,
        "event_acc_val_acc": 0.5,
        "event_hparam_accuracy": 0.25,
    }


def test_folders_of_one_name_are_kept_apart(tmp_path):
    for outer, value in (("x", 0.25), ("y", 0.5)):
        write_events(tmp_path / outer / "plugin", {"loss": {0: value}})
    row = _read(tmp_path)
    assert (row["event_x_plugin_loss"], row["event_y_plugin_loss"]) == (0.25, 0.5)


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
