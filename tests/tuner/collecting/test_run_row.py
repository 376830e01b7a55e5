"""A run folder of any version becomes one row of exact values."""

import json
import math
import os

import pytest

from proxy_keras.settings import ProxyConfig
from tests.tuner.fake_runs import config, write_run
from tuner.collecting.run_row import arm, read_run, settings, short_name


def _change(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_row_of_a_finished_run(tmp_path):
    proxy = ProxyConfig(
        schedule="1,p",
        method="smooth_grad",
        control="random_mask",
        method_options={"samples": 5},
    )
    run = write_run(tmp_path, config(source="npz:/data/cats.npz", proxy=proxy, seed=3))
    os.utime(run / "metrics.json", (0, 86400))
    row = read_run(run)
    expected = {
        "status": "finished",
        "data": "cats",
        "source": "npz:/data/cats.npz",
        "arm": "random_mask",
        "method": "smooth_grad",
        "method_options": '{"samples": 5}',
        "schedule": "1,p",
        "threshold": 0.85,
        "clear_every_step": True,
        "model": "resnet20",
        "epochs": 2,
        "seed": 3,
        "data_seed": 0,
        "data_val": 0.15,
        "image_size": 8,
        "shortcut": None,
        "split_sha256": "0123456789ab",
        "keras_version": "3.15.1",
        "keras_hub_version": "0.32.0",
        "gpus": "",
        "parameters": 12345,
        "val_accuracy": 0.5,
        "best_val_accuracy": 0.75,
        "test_accuracy": 0.25,
        "test_macro_f1": 0.25,
        "test_top5": 1.0,
        "train_accuracy": 0.625,
        "epochs_done": 2,
        "proxies_made": 7,
        "proxy_steps": 2,
        "seconds": 3.0,
        "finished_at": "1970-01-02T00:00:00+00:00",
    }
    assert {key: row[key] for key in expected} == expected
    assert "test_confusion" not in row and "proxy" not in row


def test_groups_and_selections_have_columns(tmp_path):
    run = write_run(tmp_path)
    groups = {
        "worst_group": "b",
        "worst_group_accuracy": 0.25,
        "adjusted_average": None,
        "unknown_images": 3,
        "per_group": [],
    }
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["test"]["groups"] = groups
    of_last = {"epoch": 2, "test": {"accuracy": 0.25, "worst_group_accuracy": 0.25}}
    of_first = {"epoch": 1, "value": 0.5, "test": {"accuracy": 0.2, "worst_group_accuracy": 0.15}}
    metrics["selected"] = {"last": of_last, "worst_class": of_first}
    (run / "metrics.json").write_text(json.dumps(metrics))
    row = read_run(run)
    expected = {
        "test_worst_group": "b",
        "test_worst_group_accuracy": 0.25,
        "test_adjusted_average": None,
        "test_unknown_images": 3,
        "worst_class_epoch": 1,
        "test_accuracy": 0.25,
        "test_accuracy_by_worst_class": 0.2,
        "test_worst_group_accuracy_by_worst_class": 0.15,
    }
    assert {key: row[key] for key in expected} == expected
    assert "last_epoch" not in row and "val_worst_group" not in row


def test_plain_training_has_method_none_and_no_settings_of_proxies(tmp_path):
    row = read_run(write_run(tmp_path))
    assert (row["method"], row["arm"]) == ("none", "none")
    assert "threshold" not in row


def test_unfinished_run_has_what_its_epochs_left(tmp_path):
    row = read_run(write_run(tmp_path, is_finished=False))
    assert row["status"] == "unfinished"
    assert (row["epochs_done"], row["seconds"], row["best_val_accuracy"]) == (2, 2.5, 0.75)
    assert "test_accuracy" not in row and "val_accuracy" not in row


def test_a_diverged_run_has_empty_cells_and_its_best_epoch(tmp_path):
    run = write_run(tmp_path)
    (run / "history.csv").write_text("epoch,accuracy,loss,val_accuracy\n1,0.5,1.5,0.75\n2,,,\n")
    row = read_run(run)
    assert (row["epochs_done"], row["best_val_accuracy"]) == (2, 0.75)
    assert math.isnan(row["train_loss"]) and math.isnan(row["train_accuracy"])


def test_run_that_has_only_begun(tmp_path):
    run = write_run(tmp_path, is_finished=False)
    (run / "history.csv").unlink()
    (run / "timing.csv").unlink()
    assert read_run(run)["epochs_done"] == 0


def test_new_settings_and_results_come_along(tmp_path):
    run = write_run(tmp_path, config(proxy=ProxyConfig()))
    _change(run / "config.json", augment=["cutmix", "hide"], new={"a": 1})
    _change(run / "metrics.json", cpu_seconds=9.0, stable={"accuracy": 0.125, "table": [1]})
    row = read_run(run)
    assert (row["augment"], row["arm"], row["new"]) == (
        "cutmix+hide",
        "proxy+cutmix+hide",
        '{"a": 1}',
    )
    assert (row["cpu_seconds"], row["stable_accuracy"]) == (9.0, 0.125)


def test_a_name_that_is_taken_gets_its_section_before_it(tmp_path):
    run = write_run(tmp_path)
    _change(run / "metrics.json", epochs=99)
    row = read_run(run)
    assert (row["epochs"], row["metrics_epochs"]) == (2, 99)


def test_settings_that_an_older_run_lacks_have_their_default(tmp_path):
    run = write_run(tmp_path, config(proxy=ProxyConfig()))
    old = json.loads((run / "config.json").read_text())
    del old["proxy"]["show"], old["head_epochs"]
    (run / "config.json").write_text(json.dumps(old))
    row = read_run(run)
    assert (row["show"], row["head_epochs"]) == (1.0, 0)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", "{", "config.json is not valid JSON"),
        ("config.json", "{}", "has no data source"),
        ("config.json", '{"data": {"source": "digits"}, "proxy": 1}', "must be null or an object"),
        ("run.json", "[]", "run.json does not contain an object"),
        ("metrics.json", "", "metrics.json is not valid JSON"),
        ("history.csv", "epoch,val_accuracy\n1,ha\n", "history.csv must contain only numbers"),
        ("history.csv", "epoch,val_accuracy\n1\n", "history.csv must contain only numbers"),
    ],
)
def test_damage_is_named_by_its_file(tmp_path, file, content, message):
    run = write_run(tmp_path)
    (run / file).write_text(content)
    with pytest.raises(ValueError, match=message):
        read_run(run)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("digits", "digits"),
        ("photos/dogs/", "dogs"),
        ("npz:some/cats.npz", "cats"),
        ("tfds:stanford_dogs", "stanford_dogs"),
    ],
)
def test_short_name(source, name):
    assert short_name(source) == name


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, "none"),
        ({"proxy": {}}, "proxy"),
        ({"proxy": {"control": "erasing"}}, "erasing"),
        ({"augment": ["cutmix"]}, "cutmix"),
        ({"proxy": {}, "augment": "cutmix"}, "proxy+cutmix"),
    ],
)
def test_arm(given, name):
    assert arm(given) == name


def test_settings_are_all_columns_that_can_part_two_runs():
    columns = settings()
    assert {"source", "shortcut", "model", "lr", "method", "threshold", "control"} <= set(columns)
    assert not {"seed", "arm", "data"} & set(columns)
