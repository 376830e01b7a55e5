"""Command-line options of a search."""

from pathlib import Path

import numpy as np
import pytest

from tuner.searching.search_options import read_options
from tuner.searching.space import DEFAULT_FILE, Space


def read(tmp_path: Path, *words: object):
    return read_options(["--data", "digits", "--out", str(tmp_path), *map(str, words)])


def test_settings_that_are_given_are_fixed(tmp_path: Path) -> None:
    words = ("--algorithm", "grid", "--model", "resnet20", "--threshold", 0.5, "--epochs", 9)
    options = read(tmp_path, *words, "--replacement", "black", "--limit", 100)
    searched = set(Space.load(DEFAULT_FILE).parameters) - set(options.space.parameters)
    assert searched == {"model", "threshold", "replacement", "weight"}
    assert (options.base.model, options.base.epochs, options.base.data.limit) == (
        "resnet20",
        9,
        100,
    )
    assert (options.trials, options.workers, options.objective) == (None, 1, "val_accuracy")


def test_settings_of_a_file_are_where_a_search_starts(tmp_path: Path) -> None:
    file = tmp_path / "best.json"
    read(tmp_path, "--algorithm", "grid", "--lr", 0.5, "--show", 0.5).base.save(file)
    options = read(tmp_path, "--algorithm", "grid", "--config", file)
    assert options.base.proxy is not None and options.base.proxy.show == 0.5
    assert "lr" in options.space.parameters


def test_the_identity_leaves_out_what_may_change(tmp_path: Path) -> None:
    words = ("--algorithm", "random", "--trials")
    assert (
        read(tmp_path, *words, 3).identity()
        == read(tmp_path, *words, 9, "--workers", 2).identity()
        != read(tmp_path, *words, 3, "--seed", 1).identity()
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--algorithm", "random"), "`--trials` is required"),
        (("--algorithm", "grid", "--data", "nowhere"), "'nowhere' does not exist"),
        (("--algorithm", "grid", "--data", "npz:nowhere"), "does not exist"),
        (("--algorithm", "grid", "--space", "nowhere.yaml"), "nowhere.yaml"),
    ],
)
def test_what_cannot_be_is_refused(words, message: str, tmp_path: Path) -> None:
    with pytest.raises((ValueError, OSError), match=message):
        read(tmp_path, *words)


def test_the_worst_group_needs_groups(tmp_path: Path) -> None:
    words = ("--algorithm", "grid", "--objective", "val_worst_group_accuracy")
    for data in ("digits", f"npz:{_arrays(tmp_path / 'plain.npz')}"):
        with pytest.raises(ValueError, match="needs the groups of validation images, but"):
            read(tmp_path, *words, "--data", data)
    with_groups = _arrays(tmp_path / "grouped.npz", groups_train=["a"])
    assert read(tmp_path, *words, "--data", f"npz:{with_groups}").objective == words[-1]
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "groups.csv").write_text("file,group\n")
    assert read(tmp_path, *words, "--data", tmp_path / "photos").objective == words[-1]
    worst_class = ("--algorithm", "grid", "--objective", "val_worst_class_accuracy")
    assert read(tmp_path, *worst_class).objective == "val_worst_class_accuracy"


def _arrays(file: Path, **arrays) -> Path:
    np.savez(file, x_train=np.zeros(1), **arrays)
    return file


@pytest.mark.parametrize("words", [("--trials", "0"), ("--workers", "x"), ("--worker-timeout", 1)])
def test_numbers_have_their_limits(words, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        read(tmp_path, "--algorithm", "grid", *words)
