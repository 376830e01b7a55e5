"""The folder of a search: its settings, and what is archived."""

import sys
from pathlib import Path

import pytest

from tuner.searching.search_folder import SearchFolder

IDENTITY = {"algorithm": "grid", "settings": {"lr": 0.1, "augment": ("cutmix",)}}


def test_the_same_search_goes_on_and_another_is_refused(tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path)
    assert not folder.has_search
    assert folder.begin(IDENTITY) == folder.begin(IDENTITY) == [] and folder.has_search
    folder.wait_for_chief(IDENTITY, timeout_s=0)
    other = {"algorithm": "random", "settings": {"lr": 0.2, "augment": ["cutmix"]}}
    with pytest.raises(
        ValueError, match="algorithm was 'grid', now 'random'; settings.lr was 0.1, now 0.2. Pass"
    ):
        folder.begin(other)


def test_settings_that_are_newer_than_a_search_had_their_default(tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path)
    folder.begin({"settings": {"lr": 0.1, "data": {"source": "digits"}}})
    now = {"settings": {"lr": 0.1, "determinism": True, "data": {"source": "digits", "val": 0.15}}}
    assert folder.begin(now) == []
    now["settings"]["data"]["val"] = 0.5
    with pytest.raises(ValueError, match=r"settings: settings\.data\.val was 0\.15, now 0\.5\. "):
        folder.begin(now)


def test_a_damaged_file_is_set_aside(tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path)
    folder.begin(IDENTITY)
    (tmp_path / "search.json").write_text('{"algori')
    assert folder.begin(IDENTITY) == [
        f"{tmp_path / 'search.json'} is damaged and was renamed to search.json.damaged-1"
    ]
    assert (tmp_path / "search.json.damaged-1").exists() and folder.begin(IDENTITY) == []


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="has no search: thesis.txt"):
        SearchFolder(tmp_path).begin(IDENTITY)


def test_only_what_a_search_wrote_is_moved(tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path)
    folder.begin(IDENTITY)
    (tmp_path / "trials" / "0000").mkdir(parents=True)
    (tmp_path / "trials.txt").write_text("mine")
    assert folder.archive() == tmp_path / "earlier-1"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["earlier-1", "trials.txt"]
    assert (tmp_path / "earlier-1" / "trials" / "0000").is_dir()
    folder.begin(IDENTITY)
    assert folder.archive() == tmp_path / "earlier-2"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks")
def test_one_search_at_a_time(tmp_path: Path) -> None:
    with (
        SearchFolder(tmp_path).lock(),
        pytest.raises(ValueError, match="Another search is running"),
    ):
        SearchFolder(tmp_path).lock()


def test_a_worker_does_not_wait_for_ever(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No search was started"):
        SearchFolder(tmp_path).wait_for_chief(IDENTITY, timeout_s=0)
