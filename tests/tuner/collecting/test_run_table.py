"""The table has each run once, and only new and changed runs are read."""

import json
import math
import shutil

import pytest

from tests.tuner.fake_runs import config, write_events, write_run
from tuner.collecting import run_table
from tuner.collecting.run_table import read_runs, to_rows, to_table


@pytest.fixture
def reads(monkeypatch):
    """Return the names of the read folders, in order."""
    names = []
    read = run_table.read_run

    def count(folder):
        names.append(folder.name)
        return read(folder)

    monkeypatch.setattr(run_table, "read_run", count)
    return names


def test_runs_and_event_files_are_one_table(tmp_path):
    write_run(tmp_path / "ours")
    write_events(tmp_path / "theirs" / "train", {"epoch_accuracy": {0: 0.5}})
    write_events(tmp_path / "theirs" / "validation", {"epoch_accuracy": {0: 0.25}})
    table = read_runs([tmp_path]).table
    assert table["name"].tolist() == ["ours", "theirs"]
    assert table["val_accuracy"].tolist() == [0.5, 0.25]
    assert to_rows(table)[1]["model"] is None


def test_only_new_and_changed_runs_are_read(tmp_path, reads):
    for name in "abc":
        write_run(tmp_path / name)
    first = read_runs([tmp_path])
    assert (reads, str(first)) == (["a", "b", "c"], "3 runs: 3 read, 0 unchanged")
    reads.clear()
    write_run(tmp_path / "b", test=0.75)
    write_run(tmp_path / "d")
    second = read_runs([tmp_path])
    assert (reads, str(second)) == (["b", "d"], "4 runs: 2 read, 2 unchanged")
    assert second.table["test_accuracy"].tolist() == [0.25, 0.75, 0.25, 0.25]
    reads.clear()
    third = read_runs([tmp_path])
    assert not reads and third.table.equals(second.table)


def test_unfinished_runs_are_read_each_time_until_they_finish(tmp_path, reads):
    write_run(tmp_path / "a", is_finished=False)
    assert str(read_runs([tmp_path])) == "1 run: 1 read, 0 unchanged, 1 unfinished"
    assert read_runs([tmp_path]).table["status"].tolist() == ["unfinished"]
    write_run(tmp_path / "a")
    read_runs([tmp_path])
    read_runs([tmp_path])
    assert reads == ["a", "a", "a"]


def test_event_files_are_read_again_when_they_have_grown(tmp_path):
    write_events(tmp_path / "a", {"val_acc": {0: 0.5}})
    assert read_runs([tmp_path]).read == 1
    assert read_runs([tmp_path]).unchanged == 1
    write_events(tmp_path / "a", {"val_acc": {1: 0.75}})
    reading = read_runs([tmp_path])
    assert reading.read == 1
    assert reading.table["val_accuracy"].tolist() == [0.75]


def test_runs_that_vanish_leave_table_and_cache(tmp_path):
    write_run(tmp_path / "a")
    write_run(tmp_path / "b")
    read_runs([tmp_path])
    shutil.rmtree(tmp_path / "a")
    assert read_runs([tmp_path]).table["name"].tolist() == ["b"]
    assert list(json.loads((tmp_path / ".aggregate.json").read_text())["runs"]) == ["b"]


def test_runs_outside_of_the_folders_stay_in_the_cache(tmp_path, reads):
    write_run(tmp_path / "x" / "a")
    write_run(tmp_path / "y" / "b")
    cache = tmp_path / "rows.json"
    for folders in (["x", "y"], ["x"], ["x", "y"]):
        read_runs([tmp_path / name for name in folders], cache=cache)
    assert reads == ["a", "b"]


def test_runs_that_move_with_their_cache_are_not_read_again(tmp_path, reads):
    write_run(tmp_path / "old" / "a")
    read_runs([tmp_path / "old"])
    (tmp_path / "old").rename(tmp_path / "new")
    assert read_runs([tmp_path / "new"]).unchanged == 1
    assert reads == ["a"]


def test_an_unreadable_run_is_told_and_the_rest_done(tmp_path):
    write_run(tmp_path / "a")
    (write_run(tmp_path / "b") / "metrics.json").write_text("{")
    reading = read_runs([tmp_path])
    assert reading.table["name"].tolist() == ["a"]
    assert str(reading).startswith("2 runs: 1 read, 0 unchanged, 1 unreadable (b: metrics.json is")
    write_run(tmp_path / "b")
    assert str(read_runs([tmp_path])) == "2 runs: 1 read, 1 unchanged"


@pytest.mark.parametrize("content", ["", '{"kind": "rows of', "\udcff"])
def test_a_damaged_cache_is_set_aside(tmp_path, content):
    write_run(tmp_path / "a")
    cache = tmp_path / ".aggregate.json"
    cache.write_text(content, errors="surrogateescape")
    reading = read_runs([tmp_path])
    assert reading.read == 1 and "was damaged" in reading.warning
    assert (tmp_path / ".aggregate.json.damaged").exists()
    assert read_runs([tmp_path]).warning == ""


@pytest.mark.parametrize("runs", [[], {"a": 1}, {"a": {"stamp": [], "row": {}}}])
def test_a_cache_with_other_content_inside_is_set_aside(tmp_path, runs):
    write_run(tmp_path / "a")
    read_runs([tmp_path])
    cache = tmp_path / ".aggregate.json"
    cache.write_text(json.dumps({**json.loads(cache.read_text()), "runs": runs}))
    assert "was damaged" in read_runs([tmp_path]).warning


def test_a_cache_of_another_version_is_made_anew(tmp_path):
    write_run(tmp_path / "a")
    read_runs([tmp_path])
    cache = tmp_path / ".aggregate.json"
    cache.write_text(json.dumps({**json.loads(cache.read_text()), "version": 0}))
    assert read_runs([tmp_path]).read == 1
    assert read_runs([tmp_path]).unchanged == 1


def test_a_file_that_is_no_cache_is_refused_and_stays(tmp_path):
    run = write_run(tmp_path / "a")
    before = (run / "metrics.json").read_bytes()
    with pytest.raises(ValueError, match="is another kind of file"):
        read_runs([tmp_path], cache=run / "metrics.json")
    assert (run / "metrics.json").read_bytes() == before
    with pytest.raises(ValueError, match="is not a file"):
        read_runs([tmp_path], cache=run)
    with pytest.raises(ValueError, match="does not exist"):
        read_runs([tmp_path], cache=tmp_path / "nowhere" / "rows.json")


@pytest.mark.parametrize("content", [b"name,accuracy\na,0.5\n", b"", b"\xff\xd8", b'{"kind": "x'])
def test_a_file_that_is_no_json_is_refused_as_a_cache_and_stays(tmp_path, content):
    write_run(tmp_path / "a")
    results = tmp_path / "results.csv"
    results.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"results\.csv is another kind of file.*Pass another file"
    ):
        read_runs([tmp_path], cache=results)
    assert results.read_bytes() == content
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "results.csv"]


def test_a_damaged_cache_of_any_name_is_set_aside(tmp_path):
    write_run(tmp_path / "a")
    cache = tmp_path / "rows.json"
    read_runs([tmp_path], cache=cache)
    cache.write_bytes(cache.read_bytes()[:80])
    reading = read_runs([tmp_path], cache=cache)
    assert reading.read == 1 and "was damaged" in reading.warning
    assert (tmp_path / "rows.json.damaged").exists()


def test_a_diverged_run_stays_in_the_table(tmp_path):
    run = write_run(tmp_path / "a")
    (run / "history.csv").write_text("epoch,loss,val_accuracy\n1,1.5,0.5\n2,,0.25\n")
    for _ in range(2):
        reading = read_runs([tmp_path])
        assert not reading.unreadable and to_rows(reading.table)[0]["train_loss"] is None


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path, monkeypatch):
    write_run(tmp_path / "a")

    def refuse(path, text):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tuner.collecting.row_cache.write_text_atomically", refuse)
    reading = read_runs([tmp_path])
    assert reading.read == 1 and "Read-only file system" in reading.warning


def test_no_run_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="No runs found"):
        read_runs([tmp_path])
    assert not list(tmp_path.iterdir())


def test_whole_numbers_stay_whole_where_others_lack_them():
    rows = [
        {"i": 1, "f": 1.0, "b": True, "s": "x", "m": 1, "big": 2**70},
        {"i": None, "f": None, "b": None, "s": None, "m": "auto", "big": None},
    ]
    table = to_table(rows)
    assert table.to_csv(index=False).splitlines() == [
        "i,f,b,s,m,big",
        f"1,1.0,True,x,1,{2**70}",
        ",,,,auto,",
    ]
    assert to_rows(table) == rows


def test_no_number_is_a_missing_value():
    assert to_rows(to_table([{"x": math.nan}, {"x": 1.0}])) == [{"x": None}, {"x": 1.0}]


def test_first_columns_come_first(tmp_path):
    write_run(tmp_path / "a", config(seed=1))
    columns = list(read_runs([tmp_path]).table.columns)
    assert columns[:4] == ["name", "status", "data", "source"]
    assert columns.index("test_accuracy") < columns.index("classes")
    assert len(set(columns)) == len(columns)
