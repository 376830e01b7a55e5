"""A folder of cues gives back what was saved, and any damage to it is named."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from proxy_keras.cues import cue_files, cue_folder
from proxy_keras.cues.cell_reader import CellReader
from proxy_keras.cues.cues import Cues
from proxy_keras.cues.verdicts import Verdicts
from tests.cues import small_cues
from tests.cues.small_cues import examined


def small_model(depth: int = 3, classes: int = 3) -> keras.Model:
    image = keras.Input([1, 4, 3])
    cells = keras.layers.Conv2D(depth, 1, activation="relu", name="cells")(image)
    pooled = keras.layers.GlobalAveragePooling2D()(cells)
    return keras.Model(image, keras.layers.Dense(classes)(pooled))


def cues_of(model: keras.Model, classes: list[str] | None = None) -> Cues:
    images = examined(
        [[0, 1, 2, 2], [0, 0, 1, 2]],
        [[255, 10, 20, 0], [0, 255, 0, 100]],
        has_object=[True, False],
        inside=[[255, 0, 0, 100], [0] * 4],
        labels=[1, -1],
        predictions=[2, 0],
        is_held_out=[False, True],
    )
    verdicts = Verdicts().say(["1a", "2"], "not_object").say(["1"], "mixture").say(["2"], None)
    return Cues(model, CellReader(model, "cells"), small_cues.tree(), images, verdicts, classes)


def images(count: int = 3) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=[count, 1, 4, 3]).astype(np.float32)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("saved") / "cues"
    cues_of(small_model(), ["cat", "dög", "owl"]).save(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "cues"))


def assert_equal(one: Cues, other: Cues) -> None:
    for part in ("clusters", "images"):
        pair = [cues.tree.clusters if part == "clusters" else cues.images for cues in (one, other)]
        for name, value in vars(pair[0]).items():
            if name in type(pair[0]).__dataclass_fields__:
                np.testing.assert_array_equal(getattr(pair[1], name), value)
                if isinstance(value, np.ndarray):
                    assert getattr(pair[1], name).dtype == value.dtype
    assert one.tree.roots == other.tree.roots and one.verdicts == other.verdicts
    assert one.classes == other.classes and one.target_layer == other.target_layer
    assert str(one) == str(other)


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    cues = cues_of(small_model(), ["cat", "dög", "owl"])
    cues.save(tmp_path / "new" / "cues")
    loaded = Cues.load(tmp_path / "new" / "cues")
    assert_equal(cues, loaded)
    for one, other in zip(cues.cells(images()), loaded.cells(images()), strict=True):
        np.testing.assert_array_equal(one, other)
    # As text, because NaN is not equal to itself.
    assert [str(cues.facts(name)) for name in ("2", "1a")] == [
        str(loaded.facts(name)) for name in ("2", "1a")
    ]


def test_the_files_of_a_folder(saved: Path) -> None:
    assert sorted(file.name for file in saved.iterdir()) == sorted(
        ["clusters.npz", "cues.json", "images.npz", "network.keras", "verdicts.json"]
    )
    content = json.loads((saved / "cues.json").read_text(encoding="utf-8"))
    assert content["format"] == 1 and content["classes"] == ["cat", "dög", "owl"]
    assert content["images"] == 2 and content["images_with_known_object"] == 1
    assert [cue["name"] for cue in content["cues"]] == ["1", "2"]
    for archive in ("clusters.npz", "images.npz"):
        with np.load(saved / archive, allow_pickle=False) as arrays:
            assert all(arrays[name].dtype != object for name in arrays.files)


def test_the_model_is_saved_without_its_optimizer_and_not_changed(tmp_path: Path) -> None:
    model = small_model()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images(), np.arange(3), verbose=0)
    before = [
        keras.ops.convert_to_numpy(variable).copy()
        for variable in [*model.variables, *model.optimizer.variables]
    ]
    state = random.getstate()
    cues_of(model).save(tmp_path / "cues")
    assert random.getstate() == state
    after = [
        keras.ops.convert_to_numpy(variable).copy()
        for variable in [*model.variables, *model.optimizer.variables]
    ]
    assert all(map(np.array_equal, before, after)) and model.optimizer is not None
    with zipfile.ZipFile(tmp_path / "cues" / "network.keras") as archive:
        assert not json.loads(archive.read("config.json")).get("compile_config")
        assert b"optimizer" not in archive.read("model.weights.h5")
    loaded = Cues.load(tmp_path / "cues").model
    np.testing.assert_array_equal(
        *(keras.ops.convert_to_numpy(each(images())) for each in (loaded, model))
    )


def test_the_weights_in_which_the_cues_were_found_are_saved(tmp_path: Path) -> None:
    model = small_model()
    cues = cues_of(model)
    weights, cells = model.get_weights(), cues.cells(images())
    model.set_weights([-weight + 1 for weight in weights])
    cues.save(tmp_path / "cues")
    assert np.array_equal(model.get_weights()[0], -weights[0] + 1)
    loaded = Cues.load(tmp_path / "cues")
    assert all(map(np.array_equal, loaded.model.get_weights(), weights))
    np.testing.assert_array_equal(loaded.cells(images()).evidence, cells.evidence)


@keras.saving.register_keras_serializable("tests")
class Registered(keras.Model):
    """A subclassed classifier that Keras can save."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.cells = keras.layers.Conv2D(3, 1, activation="relu", name="cells")
        self.top = keras.layers.Dense(3)

    def call(self, images: Any) -> Any:
        return self.top(keras.ops.mean(self.cells(images), axis=(1, 2)))


class Unregistered(keras.Model):
    """A subclassed classifier that Keras cannot open again."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.cells = keras.layers.Conv2D(3, 1, name="cells")
        self.top = keras.layers.Dense(units)

    def call(self, images: Any) -> Any:
        return self.top(keras.ops.mean(self.cells(images), axis=(1, 2)))


def test_a_registered_subclass_is_saved_and_loaded(tmp_path: Path) -> None:
    model = Registered()
    model(images())
    cues = cues_of(model)
    cues.save(tmp_path / "cues")
    loaded = Cues.load(tmp_path / "cues")
    assert isinstance(loaded.model, Registered)
    np.testing.assert_array_equal(loaded.cells(images()).evidence, cues.cells(images()).evidence)


def digest(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_a_model_that_cannot_be_saved_leaves_earlier_cues(folder: Path) -> None:
    model = Unregistered(3)
    model(images())
    before = digest(folder)
    with pytest.raises(ValueError, match="Keras cannot save and open this one: .*get_config"):
        cues_of(model).save(folder)
    assert digest(folder) == before


@pytest.mark.parametrize("file", ["network.keras", "clusters.npz", "images.npz", "verdicts.json"])
def test_a_failed_write_leaves_earlier_cues(
    folder: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cues, before = Cues.load(folder), digest(folder)
    replace = os.replace

    def full(source: Any, target: Any) -> None:
        if Path(target).name == file:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        cues.save(folder)
    assert digest(folder) == before


@pytest.mark.parametrize("moved", range(5))
def test_a_crash_while_files_are_moved_leaves_a_folder_that_does_not_load(
    folder: Path, moved: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cues, replace = Cues.load(folder), os.replace
    count = 0

    def crash(source: Any, target: Any) -> None:
        nonlocal count
        if Path(target).parent == folder:
            if count == moved:
                raise KeyboardInterrupt
            count += 1
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", crash)
        with pytest.raises(KeyboardInterrupt):
            cues.save(folder)
    with pytest.raises(FileNotFoundError, match=r"cues\.json does not exist"):
        Cues.load(folder)
    # Saving again repairs it.
    cues.save(folder)
    assert_equal(cues, Cues.load(folder))
    assert len(list(folder.iterdir())) == 5


def test_other_files_stay(folder: Path) -> None:
    (folder / "cues.html").write_text("page")
    cues = Cues.load(folder)
    cues.tick(["2"])
    cues.save(folder)
    assert (folder / "cues.html").read_text() == "page"
    assert Cues.load(folder).ticked == cues.ticked


@pytest.mark.parametrize("name", ["images.npz", "network.keras", "verdicts.json"])
def test_files_of_something_else_are_not_replaced(saved: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(FileExistsError, match=rf"has no cues\.json, but .*{name}.*another folder"):
        Cues.load(saved).save(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_file_is_not_a_folder(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "cues").write_text("mine")
    with pytest.raises(FileExistsError, match="is a file. Pass a folder"):
        Cues.load(saved).save(tmp_path / "cues")
    with pytest.raises(FileNotFoundError, match="is not a folder of cues"):
        Cues.load(tmp_path / "cues")


# Each entry: the name of a test, the file that the error must name, and the damage.
Damage = Callable[[Path], object]
HOSTILE: list[Any] = []


def hostile(file: str, name: str, damage: Damage, error: type[Exception] = ValueError) -> None:
    HOSTILE.append(pytest.param(file, damage, error, id=f"{file}: {name}"))


def text(content: str | bytes) -> Damage:
    raw = content if isinstance(content, bytes) else content.encode()
    return lambda file: file.write_bytes(raw)


def edited(change: Callable[[Any], Any]) -> Damage:
    def damage(file: Path) -> None:
        content = json.loads(file.read_text(encoding="utf-8"))
        file.write_text(json.dumps(change(content)), encoding="utf-8")

    return damage


def arrays(**changes: Any) -> Damage:
    """Replace arrays; a function gets the old one, None removes it."""

    def damage(file: Path) -> None:
        with np.load(file) as archive:
            values = dict(archive)
        for name, change in changes.items():
            old = values.pop(name)
            if change is not None:
                values[name] = np.asarray(change(old) if callable(change) else change)
        with file.open("wb") as opened:
            np.savez_compressed(opened, **values)

    return damage


def truncated(share: float) -> Damage:
    return lambda file: file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])


def flipped(place: float) -> Damage:
    def damage(file: Path) -> None:
        content = bytearray(file.read_bytes())
        content[int(place * len(content))] ^= 255
        file.write_bytes(content)

    return damage


def entry(name: str, content: bytes) -> Damage:
    """Replace the bytes of one entry of an archive, with a correct checksum."""

    def damage(file: Path) -> None:
        with zipfile.ZipFile(file) as archive:
            parts = {part: archive.read(part) for part in archive.namelist()}
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for part, old in parts.items():
                archive.writestr(part, content if part == name else old)

    return damage


def header(text: str) -> bytes:
    raw = text.encode() + b" " * (63 - len(text)) + b"\n" if len(text) < 63 else text.encode()
    return b"\x93NUMPY\x01\x00" + len(raw).to_bytes(2, "little") + raw


def other_model(depth: int, classes: int) -> Damage:
    def damage(file: Path) -> None:
        file.unlink()
        small_model(depth, classes).save(file)

    return damage


def regressor(file: Path) -> None:
    file.unlink()
    image = keras.Input([1, 4, 3])
    keras.Model(image, keras.layers.Conv2D(3, 1, name="cells")(image)).save(file)


def set_value(old: Any, place: Any, value: Any) -> Any:
    new = np.array(old)
    new[place] = value
    return new


JSONS, ARCHIVES = ("cues.json", "verdicts.json"), ("clusters.npz", "images.npz")
for each in (*JSONS, *ARCHIVES, "network.keras"):
    hostile(each, "missing", Path.unlink, FileNotFoundError)
    hostile(each, "a folder", lambda file: (file.unlink(), file.mkdir()), FileNotFoundError)
    hostile(each, "empty", text(""))
    hostile(each, "half", truncated(0.5))
    hostile(each, "not UTF-8", text(b"\xff\xfe\x00 [\x80]"))
for each in (*ARCHIVES, "network.keras"):
    hostile(each, "a byte changed", flipped(0.4))
    hostile(each, "no end", truncated(0.99))
    hostile(each, "another archive", text(b"PK\x05\x06" + b"\0" * 18))
for each in ARCHIVES:
    hostile(
        each,
        "a bare array",
        text(header("{'descr': '<i4', 'fortran_order': False, 'shape': (0,), }")),
    )
for each in JSONS:
    hostile(each, "nested deeply", text("[" * 200_000))
    hostile(each, "a number", text("1"))
    hostile(each, "null", text("null"))
    hostile(each, "two values", text("[] []"))
for value in (None, "", 0, 2, "1", [1], 1e400):
    hostile("cues.json", f"format {value}", edited(lambda c, v=value: {**c, "format": v}))
hostile("cues.json", "no format", edited(lambda c: {k: v for k, v in c.items() if k != "format"}))
hostile("cues.json", "a list", edited(lambda c: [c]))
for value in (None, 3, [], "x" * 10_000):
    which = "network.keras" if isinstance(value, str) else "cues.json"
    damage = edited(lambda c, v=value: {**c, "target_layer": v})
    HOSTILE.append(
        pytest.param(
            which,
            lambda file, damage=damage: damage(file.parent / "cues.json"),
            ValueError,
            id=f"cues.json: target layer {str(value)[:5]}",
        )
    )
for value in ("cat", [], ["a", "b"], ["a", "b", 3], ["a", "b", "c", "d"], ["a", "b", "\ud800"], {}):
    hostile("cues.json", f"classes {value!r}", edited(lambda c, v=value: {**c, "classes": v}))
for value in (
    {},
    "1",
    ["1"],
    [["1"]],
    [["9", "object"]],
    [["1c", "object"]],
    [["2a", "object"]],
    [["1", "good"]],
    [[1, "object"]],
    [[[], "object"]],
    [["1" + "a" * 50_000, "object"]],
    [["1", "object"], ["../../etc/passwd", "object"]],
    [["0", None]],
):
    shown = json.dumps(value)[:40]
    hostile("verdicts.json", shown, lambda file, v=value: file.write_text(json.dumps(v)))
for name in ("centroids", "means", "counts", "joins", "roots"):
    hostile("clusters.npz", f"no {name}", arrays(**{name: None}))
    hostile("clusters.npz", f"pickled {name}", arrays(**{name: np.array([{}], object)}))
    hostile("clusters.npz", f"{name} as text", arrays(**{name: lambda old: old.astype(str)}))
    hostile("clusters.npz", f"{name} one short", arrays(**{name: lambda old: old[:-1]}))
for name in ("centroids", "means"):
    for value in (np.nan, np.inf):
        hostile(
            "clusters.npz",
            f"{value} in {name}",
            arrays(**{name: lambda old, v=value: set_value(old, (0, 0), v)}),
        )
    hostile("clusters.npz", f"{name} too deep", arrays(**{name: lambda old: np.eye(3, 5)}))
hostile("clusters.npz", "centroids of length 2", arrays(centroids=lambda old: 2 * old))
hostile("clusters.npz", "zero centroids", arrays(centroids=lambda old: 0 * old))
hostile("clusters.npz", "no cells", arrays(counts=lambda old: 0 * old))
hostile("clusters.npz", "a negative count", arrays(counts=lambda old: set_value(old, 0, -1)))
hostile("clusters.npz", "counts as a number", arrays(counts=np.array(3)))
hostile("clusters.npz", "a circle", arrays(joins=np.array([[0, 4], [3, 2]])))
hostile("clusters.npz", "a node joined to itself", arrays(joins=np.array([[0, 0], [3, 2]])))
hostile("clusters.npz", "a node joined twice", arrays(joins=np.array([[0, 1], [3, 1]])))
hostile("clusters.npz", "a negative node", arrays(joins=np.array([[0, -1], [3, 2]])))
hostile("clusters.npz", "a node too high", arrays(joins=np.array([[0, 1], [2**31 - 1, 2]])))
for roots in ([], [3], [3, 2, 2], [4, 2], [5], [-1], [[3, 2]], [2**62], list(range(3)) * 1000):
    hostile("clusters.npz", f"roots {str(roots)[:20]}", arrays(roots=np.array(roots, np.int64)))
hostile(
    "clusters.npz",
    "too many clusters",
    arrays(counts=np.ones(5000, int), centroids=np.ones([5000, 3]), means=np.ones([5000, 3])),
)
IMAGE_ARRAYS = "clusters evidence similarity inside labels predictions is_held_out has_object"
for name in (*IMAGE_ARRAYS.split(), "example_ids"):
    hostile("images.npz", f"no {name}", arrays(**{name: None}))
    hostile("images.npz", f"one image less in {name}", arrays(**{name: lambda old: old[1:]}))
    hostile("images.npz", f"{name} as float", arrays(**{name: lambda old: np.ones(old.shape)}))
    hostile("images.npz", f"pickled {name}", arrays(**{name: np.array([{}, {}], object)}))
hostile("images.npz", "a number for ids", arrays(example_ids=np.array("a")))
hostile("images.npz", "an id twice", arrays(example_ids=np.array(["a", "a"])))
hostile("images.npz", "no images", arrays(**{n: lambda old: old[:0] for n in IMAGE_ARRAYS.split()}))
hostile("images.npz", "maps of no cells", arrays(clusters=lambda old: old[:, :0]))
hostile("images.npz", "maps of one axis", arrays(clusters=lambda old: old[:, 0]))
hostile("images.npz", "cluster 3", arrays(clusters=lambda old: set_value(old, (0, 0, 0), 3)))
hostile(
    "images.npz",
    "a negative cluster",
    arrays(clusters=lambda old: set_value(old.astype(np.int64), (0, 0, 0), -1)),
)
hostile("images.npz", "label 3", arrays(labels=np.array([3, 0])))
hostile("images.npz", "label -2", arrays(labels=np.array([-2, 0])))
hostile("images.npz", "prediction -1", arrays(predictions=np.array([-1, 0])))
hostile("images.npz", "prediction 3", arrays(predictions=np.array([0, 3])))
hostile("images.npz", "four clusters", arrays(num_clusters=np.array(4)))
hostile("images.npz", "other clusters", arrays(num_clusters=np.array([3])))
hostile("images.npz", "no header", entry("labels.npy", b""))
hostile("images.npz", "not an array", entry("labels.npy", b"not an array at all"))
for form in (
    "{'descr': '<i4', 'fortran_order': False, 'shape': (10**12,), }",
    "{'descr': '<i4', 'fortran_order': False, 'shape': (1000000000000,), }",
    "{'descr': '<i4', 'fortran_order': False, 'shape': (-2,), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }",
    "{'descr': 'nonsense', 'fortran_order': False, 'shape': (2,), }",
    "{'descr': '<i4'",
    "__import__('os').abort()",
    "(" * 60,
):
    hostile("images.npz", f"header {form[:70]}", entry("labels.npy", header(form)))
hostile("images.npz", "version 9", entry("labels.npy", b"\x93NUMPY\x09\x00" + b"\0" * 80))
hostile(
    "clusters.npz",
    "of another layer",
    lambda file: other_model(5, 3)(file.parent / "network.keras"),
)
hostile(
    "cues.json", "of another head", lambda file: other_model(3, 4)(file.parent / "network.keras")
)
hostile("network.keras", "no classifier", regressor)
for content in (b"{}", b"[]", b"null", b"[" * 200_000, b'{"class_name": "Lambda", "config": {}}'):
    hostile("network.keras", f"config {content[:40]!r}", entry("config.json", content))
hostile("network.keras", "no weights", entry("model.weights.h5", b""))


def test_there_are_enough_hostile_folders() -> None:
    assert len(HOSTILE) >= 100


@pytest.mark.parametrize(("file", "damage", "error"), HOSTILE)
def test_damage_is_named(folder: Path, file: str, damage: Damage, error: type[Exception]) -> None:
    damage(folder / file)
    before = digest(folder)
    with pytest.raises(error) as raised:
        Cues.load(folder)
    assert str(folder / file) in str(raised.value)
    assert len(str(raised.value)) < 1500 and "\n" not in str(raised.value)
    assert digest(folder) == before


def test_sizes_are_limited(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(cue_files, "_LARGEST_JSON", 50)
        with pytest.raises(ValueError, match=r"cues\.json: must have at most 50 bytes"):
            Cues.load(folder)
    monkeypatch.setattr(cue_files, "_LARGEST_ARRAYS", 200)
    with pytest.raises(ValueError, match=r"npz: must have at most 200 bytes of arrays. Received"):
        Cues.load(folder)


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"cues\.json does not exist.*Find them first"):
        Cues.load(tmp_path / "none")


def test_additional_entries_are_not_read(folder: Path) -> None:
    before = Cues.load(folder)
    with zipfile.ZipFile(folder / "images.npz", "a") as archive:
        archive.writestr("more.npy", b"not an array")
    content = json.loads((folder / "cues.json").read_text(encoding="utf-8"))
    (folder / "cues.json").write_text(json.dumps({**content, "more": [1]}), encoding="utf-8")
    assert_equal(before, Cues.load(folder))


def test_verdicts_are_saved_alone(folder: Path) -> None:
    before = digest(folder)
    verdicts = Verdicts().say(["2", "1b"], "not_object")
    cue_folder.save_verdicts(folder, verdicts)
    after = digest(folder)
    assert {name for name in after if after[name] != before.get(name)} == {"verdicts.json"}
    assert Cues.load(folder).ticked == ["2", "1b"]
