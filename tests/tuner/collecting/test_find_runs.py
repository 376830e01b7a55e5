"""Every run is found once, whatever other files there are."""

import os

import pytest

from tests.tuner.fake_runs import write_events, write_hparams, write_run
from tuner.collecting.find_runs import find_runs


def _touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def _names(*folders):
    return [run.name for run in find_runs(folders).runs]


def test_a_run_folder_is_one_run_with_all_that_lies_in_it(tmp_path):
    write_run(tmp_path / "study" / "a")
    write_run(tmp_path / "study" / "a" / "inner")
    _touch(tmp_path / "study" / "a" / "tensorboard" / "train" / "events.out.tfevents.1")
    assert _names(tmp_path) == ["study/a"]


def test_a_folder_with_one_of_the_two_files_is_no_run(tmp_path):
    _touch(tmp_path / "a" / "config.json")
    _touch(tmp_path / "b" / "run.json")
    assert _names(tmp_path) == []


def test_splits_of_event_files_are_one_run(tmp_path):
    files = [
        _touch(tmp_path / "a" / "train" / "events.out.tfevents.1"),
        _touch(tmp_path / "a" / "validation" / "events.out.tfevents.2"),
        _touch(tmp_path / "a" / "events.out.tfevents.3"),
    ]
    _touch(tmp_path / "b" / "events.out.tfevents.4")
    a, b = find_runs([tmp_path]).runs
    assert (a.name, b.name) == ("a", "b")
    assert set(a.event_files) == set(files)


def test_what_lies_beside_both_splits_belongs_to_their_run(tmp_path):
    for inner in ("train", "Validation", "proxies", "plugins/profile"):
        _touch(tmp_path / "logs" / "a" / inner / "events.out.tfevents.1")
    for inner in ("test", "b", "c/train", "c/val"):
        _touch(tmp_path / "logs" / inner / "events.out.tfevents.1")
    runs = find_runs([tmp_path]).runs
    assert {run.name: len(run.event_files) for run in runs} == {
        "logs": 1,
        "logs/a": 4,
        "logs/b": 1,
        "logs/c": 2,
    }


def _sizes(folder):
    return {run.name: len(run.event_files) for run in find_runs([folder]).runs}


@pytest.mark.parametrize("tag", ["loss", "Loss/all"])
def test_curves_of_add_scalars_belong_to_their_run(tmp_path, tag):
    run = tmp_path / "logs" / "a"
    write_events(run, {"lr": {0: 0.5}})
    for curve in ("train", "val", "deep/er"):
        write_events(run / f"{tag.replace('/', '_')}_{curve}", {tag: {0: 1.0}})
    assert _sizes(tmp_path) == {"logs/a": 4}


def test_metrics_of_add_hparams_belong_to_their_run(tmp_path):
    for name, inner in (("a", "1700000000.25"), ("b", "final")):
        write_events(tmp_path / name, {"loss": {0: 1.0}})
        write_hparams(tmp_path / name / inner, {"hparam/accuracy": 0.5})
    assert _sizes(tmp_path) == {"a": 2, "b": 2}


def test_several_calls_of_add_hparams_are_several_runs(tmp_path):
    write_events(tmp_path / "search", {})
    for number in range(3):
        write_hparams(tmp_path / "search" / str(number), {"hparam/accuracy": 0.5})
    assert _sizes(tmp_path) == {"search": 1, "search/0": 1, "search/1": 1, "search/2": 1}


def test_runs_below_other_event_files_stay_runs(tmp_path):
    write_events(tmp_path / "logs", {"loss": {0: 1.0}})
    # Its name begins like a curve, but it has more than one; the other has another tag.
    write_events(tmp_path / "logs" / "loss_big", {"loss": {0: 1.0}, "acc": {0: 0.5}})
    write_events(tmp_path / "logs" / "loss_small", {"acc": {0: 0.5}})
    # Keras' callback writes no `experiment` beside a session.
    write_events(tmp_path / "logs" / "c", {"_hparams_/session_start_info": {0: 0.0}})
    _touch(tmp_path / "logs" / "damaged" / "events.out.tfevents.1").write_bytes(bytes(64))
    assert list(_sizes(tmp_path)) == [
        "logs",
        "logs/c",
        "logs/damaged",
        "logs/loss_big",
        "logs/loss_small",
    ]


def test_the_folder_given_may_be_the_run(tmp_path):
    run = write_run(tmp_path / "a")
    _touch(tmp_path / "logs" / "train" / "events.out.tfevents.1")
    assert _names(run) == ["a"]
    assert _names(tmp_path / "logs") == ["logs"]
    assert _names(tmp_path / "logs" / "train") == ["train"]


def test_a_folder_within_a_run_stands_for_the_run(tmp_path):
    run = write_run(tmp_path / "a")
    _touch(run / "tensorboard" / "train" / "events.out.tfevents.1")
    (found,) = find_runs([run / "tensorboard"]).runs
    assert (found.name, found.folder, found.event_files) == ("a", run, ())


def test_several_folders_keep_their_names_and_each_run_counts_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("x/1", "y/1"):
        write_run(tmp_path / name)
    x, y = (path.relative_to(tmp_path) for path in (tmp_path / "x", tmp_path / "y"))
    assert _names(x, y, x / "1") == ["x/1", "y/1"]
    assert _names(x / "1", y / "1") == ["x/1", "y/1"]


def test_hidden_folders_are_left_out(tmp_path):
    write_run(tmp_path / ".old" / "a")
    assert _names(tmp_path) == []


def test_a_folder_that_cannot_be_listed_is_told(tmp_path, monkeypatch):
    write_run(tmp_path / "a")
    closed = tmp_path / "closed"
    closed.mkdir()
    listing = os.scandir

    def scandir(path):
        if str(path) == str(closed):
            raise PermissionError(13, "Permission denied", str(path))
        return listing(path)

    monkeypatch.setattr(os, "scandir", scandir)
    search = find_runs([tmp_path])
    assert [run.name for run in search.runs] == ["a"]
    assert search.unreadable == [(str(closed), "Permission denied")]


def test_an_absent_folder_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no folder"):
        find_runs([tmp_path / "nowhere"])
