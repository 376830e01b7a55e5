"""`--index` is an option of every command that reads folders, and of no run's identity."""

from __future__ import annotations

import dataclasses
import importlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from proxy_keras.data.scan_index import CACHE, NONE
from proxy_keras.evaluating import evaluation_images
from proxy_keras.settings import DataConfig, TrainConfig
from proxy_keras.settings.data_config import INDEX_WORDS
from proxy_keras.settings.options import build_config
from proxy_keras.ticking import examined_model
from proxy_keras.train import resumed_config
from proxy_keras.training.run import load_data
from tuner.collecting import run_row
from tuner.comparing.study_results import fingerprint
from tuner.searching.search_options import read_options

CONFIG = TrainConfig(DataConfig("/photos", index="/indexes/a"))
OTHER = TrainConfig(DataConfig("/photos", index="none"))

COMMANDS = (
    "proxy_keras.train",
    "proxy_keras.evaluate",
    "proxy_keras.ticking.command",
    "proxy_keras.explaining.augmentation_gallery",
    "tuner.study",
    "tuner.searching.search_options",
    "export.__main__",
)


@pytest.mark.parametrize("module", COMMANDS)
def test_every_command_that_reads_data_has_it(module):
    options = importlib.import_module(module).build_parser()._option_string_actions
    assert "--data" in options
    assert options["--index"].metavar == "FILE|none"


def test_no_other_command_reads_data():
    root = Path(__file__).resolve().parents[2]
    with_data = {
        ".".join(path.relative_to(root).with_suffix("").parts)
        for package in ("proxy_keras", "tuner", "export")
        for path in (root / package).rglob("*.py")
        if 'add_argument("--data"' in " ".join(path.read_text("utf-8").split())
        or "add_train_options(parser)" in path.read_text("utf-8")
        or ", DataConfig)" in path.read_text("utf-8")
    }
    with_data |= {"export.__main__"}
    assert with_data - {"proxy_keras.settings.options", *COMMANDS} == set()


def test_the_words_are_those_of_the_index():
    assert INDEX_WORDS == (CACHE, NONE)
    assert DataConfig("x").index == CACHE


def test_settings_are_equal_whatever_the_index():
    assert CONFIG == OTHER
    assert CONFIG.compared() == OTHER.compared()
    assert CONFIG.to_dict()["data"].pop("index") == "/indexes/a"
    without = CONFIG.to_dict()
    # Nor is it compared where the features of images are kept.
    del without["data"]["index"], without["features"]
    assert CONFIG.compared() == without
    assert DataConfig("x").compared() != DataConfig("y").compared()


def test_it_is_saved_and_read(tmp_path):
    CONFIG.save(tmp_path / "config.json")
    assert TrainConfig.load(tmp_path / "config.json").data.index == "/indexes/a"
    values = CONFIG.compared()
    assert TrainConfig.from_dict(values).data.index == CACHE


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "/indexes/a"), ({"index": "none"}, "none"), ({"index": CACHE}, CACHE)],
)
def test_a_run_is_resumed_with_any_index(tmp_path, given, expected):
    CONFIG.save(tmp_path / "config.json")
    resumed = resumed_config(tmp_path, given)
    assert resumed == CONFIG and resumed.data.index == expected
    with pytest.raises(ValueError, match=r"other settings: data\.limit was None, now 7\."):
        resumed_config(tmp_path, {**given, "limit": 7})


def test_a_run_of_a_study_is_resumed_with_the_index_of_the_study(tmp_path):
    (tmp_path / "run").mkdir()
    CONFIG.save(tmp_path / "run" / "config.json")
    OTHER.save(tmp_path / "run.json")
    resumed = resumed_config(tmp_path / "run", {"config": tmp_path / "run.json"})
    assert resumed.data.index == "none"


def test_paths_are_absolute_also_of_new_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = {
        name: build_config({"source": "digits", "index": name}).data.index for name in INDEX_WORDS
    }
    assert found == {"cache": "cache", "none": "none"}
    given = {"source": "digits", "index": "folder/new"}
    assert build_config(given).data.index == str(tmp_path / "folder" / "new")


def test_searches_and_studies_stay_the_same(tmp_path):
    words = ["--algorithm", "random", "--trials", "3", "--data", "digits", "--out", str(tmp_path)]
    one, other = read_options(words), read_options([*words, "--index", "none"])
    assert (one.base.data.index, other.base.data.index) == ("cache", "none")
    assert one.identity() == other.identity()
    assert fingerprint(CONFIG, "m") == fingerprint(OTHER, "m")
    limited = dataclasses.replace(CONFIG, data=DataConfig("/photos", limit=9))
    assert fingerprint(CONFIG, "m") != fingerprint(limited, "m")


def test_tables_of_runs_have_no_column_for_it(tmp_path):
    CONFIG.save(tmp_path / "config.json")
    (tmp_path / "run.json").write_text(json.dumps({}))
    row = run_row.read_run(tmp_path)
    assert row["data"] == "photos" and "data_limit" in row
    assert not [column for column in [*row, *run_row.settings()] if "index" in column]


@pytest.mark.parametrize(
    ("given", "is_own"), [({}, True), ({"index": "none"}, True), ({"limit": 9}, False)]
)
def test_the_split_of_a_run_is_used_with_any_index(tmp_path, monkeypatch, given, is_own):
    asked = []

    def load_data(config, folder, *, progress):
        asked.append((folder, config.data.index))
        return SimpleNamespace(
            split_sha256="same", test=None, given_splits=["test"], all_images=lambda: None
        )

    monkeypatch.setattr(evaluation_images, "load_data", load_data)
    monkeypatch.setattr(examined_model, "load_data", load_data)
    CONFIG.save(tmp_path / "config.json")
    (tmp_path / "model.keras").touch()
    run = SimpleNamespace(config=CONFIG, folder=tmp_path, split_sha256="same")
    evaluation_images.load_images(None, run, given, progress=False)
    _ = examined_model.ExaminedModel(tmp_path, given).data
    expected = tmp_path if is_own else None
    assert asked == [(expected, given.get("index", "/indexes/a"))] * 2


def test_training_keeps_the_index_where_it_is_told(tmp_path):
    for number in range(12):
        path = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(path)
    for index, is_kept in (("none", False), (str(tmp_path / "index"), True)):
        data = DataConfig(str(tmp_path / "photos"), image_size=8, index=index)
        found = load_data(TrainConfig(data), None, progress=False)
        assert len(found.table) == 12
        assert (tmp_path / "index").is_file() == is_kept
