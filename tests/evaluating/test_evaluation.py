"""The images and models of an evaluation, and what it refuses before any work."""

import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest
from PIL import Image

from proxy_keras import evaluate
from proxy_keras.evaluating import evaluation
from proxy_keras.settings import DataConfig, TrainConfig
from proxy_keras.training.run import load_data

FAST = ["--quiet", "--heat-images", "0", "--no-corruptions"]


def _save_model(path, seed=0, classes=3):
    keras.utils.set_random_seed(seed)
    images = keras.Input((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D()(images)
    keras.Model(images, keras.layers.Dense(classes)(x)).save(path)


def _write_images(path, seed):
    draw = np.random.default_rng(seed)
    images = draw.integers(0, 256, (60, 8, 8, 3)).astype(np.uint8)
    np.savez(
        path, x_train=images, y_train=np.arange(60) % 3, classes=np.array(["red", "green", "blue"])
    )
    return f"npz:{path}"


def _write_run(folder, source, *, seed=0, split_seed=0):
    """Write the run folder of a run without proxies, with an untrained model."""
    folder.mkdir(parents=True)
    config = TrainConfig(DataConfig(source, image_size=8, seed=split_seed), proxy=None)
    load_data(config, None, progress=False).save(folder)
    config.save(folder / "config.json")
    _save_model(folder / "model.keras", seed)
    (folder / "run.json").write_text("{}")
    (folder / "metrics.json").write_text('{"proxy_steps": []}')
    (folder / "history.csv").write_text("epoch,accuracy,loss,val_accuracy,val_loss\n0,1,1,1,1\n")
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Runs "a" and "b" of one split, "c" of another, "d" of other images, and a file "e.keras"."""
    root = tmp_path_factory.mktemp("made")
    source, other = (_write_images(root / f"{n}.npz", n) for n in (0, 1))
    for name, words in (("a", {}), ("b", {"seed": 1}), ("c", {"split_seed": 5})):
        _write_run(root / name, source, **words)
    _write_run(root / "d", other)
    _save_model(root / "e.keras", seed=2)
    return root


@pytest.fixture
def runs(made, tmp_path):
    """A copy that tests may damage."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def untouched(monkeypatch):
    """Fail the test if images are classified."""
    monkeypatch.setattr(evaluation, "measure_model", lambda *_: pytest.fail("images were answered"))


def done(words, capsys):
    """Return the lines that the command prints."""
    assert evaluate.main([*map(str, words), *FAST]) == 0
    return capsys.readouterr().out.splitlines()


def failed(words, capsys):
    """Return the one line that a refused command prints."""
    assert evaluate.main([*map(str, words), *FAST]) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: ") and "\n" not in said
    return said


@pytest.mark.parametrize("more", [[], ["--limit", "9"], ["--data", "npz:{0}/0.npz"]])
def test_a_run_answers_its_test_split_however_its_data_are_said(made, tmp_path, capsys, more):
    more = [word.format(made) for word in more]
    lines = done([made / "a", *more, "--out", tmp_path / "x"], capsys)
    assert not lines[0].startswith("evaluated: ")
    told = json.loads((tmp_path / "x" / "metrics.json").read_text())["data"]
    assert (told["split"], told["images"]) == ("test", 9)
    assert "was not trained on them" in told["seen_in_training"]


def test_other_images_than_the_test_split_are_told_in_the_first_line(made, tmp_path, capsys):
    words = [made / "a", "--against", made / "b", "--data", f"npz:{made}/1.npz"]
    lines = done([*words, "--out", tmp_path / "x"], capsys)
    assert lines[0].startswith(f"evaluated: 60 images of npz:{made}/1.npz, split 'all'. ")
    assert "may have been trained on some of them" in lines[0]


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a", "--against", "c"], "trained with another split"),
        (["a", "--against", "c", "--limit", "9"], "trained with another split"),
        (["a", "--against", "c", "--split-seed", "5"], "Leave out the data options"),
        (["a", "--against", "d", "--data", "npz:{0}/1.npz"], "Leave out the data options to"),
        (["a", "--against", "e.keras", "--split-seed", "5"], "Leave out the data options"),
        (["e.keras", "--against", "a", "--data", "npz:{0}/0.npz"], "Swap the models"),
        (["e.keras", "--against", "d", "--data", "npz:{0}/0.npz"], "trained with another split"),
    ],
)
def test_models_that_may_have_seen_unequal_parts_are_not_compared(
    made, tmp_path, capsys, words, message
):
    words = [str(made / word) if (made / word).exists() else word.format(made) for word in words]
    assert message in failed([*words, "--out", tmp_path / "x"], capsys)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("file", "content", "rule"),
    [
        ("config.json", "[]", "must contain a JSON object"),
        ("config.json", "{}", "must contain the settings of a training run"),
        ("config.json", '{"data": []}', "must contain the settings of a training run"),
        ("metrics.json", "{}", "must contain the run's results"),
        ("metrics.json", '{"proxy_steps": [{"epoch": 1}]}', "must contain the run's results"),
        ("metrics.json", "", "must contain a JSON object"),
        ("run.json", '{"a', "must contain a JSON object"),
        ("run.json", None, "does not exist"),
        ("history.csv", "", "must be a CSV table of epochs"),
        ("history.csv", "epoch\n0\n", "must have one row per epoch"),
        (
            "history.csv",
            "epoch,accuracy,loss,val_accuracy,val_loss\n",
            "must have one row per epoch",
        ),
        ("split.sha256", "", "must contain the SHA-256"),
        ("split.sha256", None, "does not exist"),
        ("labels.json", '["red", "green", "red"]', "must have unique class names"),
        ("labels.json", '{"a": "b"}', "must contain a JSON list"),
    ],
)
@pytest.mark.parametrize("damaged", ["a", "b"])
def test_damaged_runs_are_told_before_any_work(runs, capsys, file, content, rule, damaged):
    path = runs / damaged / file
    path.unlink()
    if content is not None:
        path.write_text(content)
    said = failed([runs / "a", "--against", runs / "b"], capsys)
    assert f"{path} {rule}" in said
    assert not (runs / "a" / "evaluation_against_b").exists()


@pytest.mark.usefixtures("untouched")
def test_an_out_that_cannot_be_written_is_told_before_any_work(made, capsys, tmp_path):
    assert "Cannot write to /proc/x: " in failed([made / "a", "--out", "/proc/x"], capsys)
    (tmp_path / "file").write_text("mine")
    assert "file is a file. Give a folder" in failed(
        [made / "a", "--out", tmp_path / "file"], capsys
    )


def test_reports_of_other_models_are_kept(runs, capsys):
    done([runs / "a", "--against", runs / "b"], capsys)
    report = runs / "a" / "evaluation_against_b" / "metrics.json"
    before = report.read_text()
    # Another model of the same name, and the same model at another path.
    shutil.copytree(runs / "b", runs / "study" / "b")
    _save_model(runs / "study" / "b" / "model.keras", seed=7)
    said = failed([runs / "a", "--against", runs / "study" / "b"], capsys)
    assert f"({runs / 'a'} against {runs / 'b'})" in said and "--out DIR" in said
    assert report.read_text() == before
    # Trained again.
    _save_model(runs / "b" / "model.keras", seed=8)
    done([runs / "a", "--against", runs / "b"], capsys)
    assert report.read_text() != before


def test_default_folders_keep_dots_in_the_names_of_runs(made):
    (made / "v0.1").mkdir(exist_ok=True)
    beside = evaluation._default_folder
    assert beside(made / "a", made / "v0.1").name == "evaluation_against_v0.1"
    assert beside(made / "e.keras", made / "e.keras").name == "e_evaluation_against_e"


def test_files_of_one_run_have_names_of_their_own(runs, capsys):
    _save_model(runs / "a" / "best.keras", seed=5)
    done([runs / "a" / "best.keras", "--against", runs / "a" / "model.keras"], capsys)
    told = json.loads((runs / "a" / "best_evaluation_against_model" / "metrics.json").read_text())
    assert told["model"]["name"] == str(runs / "a" / "best.keras")
    assert told["against"]["name"] == str(runs / "a")


def test_the_other_file_has_class_names_of_its_own(runs, capsys, monkeypatch):
    for name in ("e", "f"):
        _save_model(runs / f"{name}.keras", classes=4)
        (runs / f"{name}.json").write_text('["red", "green", "blue", "grey"]')
    words = [runs / "e.keras", "--labels", runs / "e.json", "--data", f"npz:{runs}/0.npz"]
    words += ["--against", runs / "f.keras"]
    with monkeypatch.context() as context:
        context.setattr(evaluation, "measure_model", lambda *_: pytest.fail("images were answered"))
        assert "class id: --against-labels FILE.json" in failed(words, capsys)
        (runs / "g.json").write_text('["red", "green", "violet", "grey"]')
        said = failed([*words, "--against-labels", runs / "g.json"], capsys)
        assert "f.keras does not have the classes blue" in said
        assert "class names of the model: --against-labels FILE.json" in said
        (runs / "g.json").write_text('["green", "red", "blue", "grey"]')
        said = failed([*words, "--against-labels", runs / "g.json"], capsys)
        assert "the same classes in the same order" in said
    lines = done([*words, "--against-labels", runs / "f.json"], capsys)
    assert lines[-1] == f"report: {runs / 'e_evaluation_against_f' / 'report.html'}"


def test_names_of_no_other_model_are_refused(made, capsys):
    said = failed([made / "a", "--against-labels", made / "x.json"], capsys)
    assert "give `--against` too" in said


def test_an_interruption_is_told_in_one_line(made, tmp_path, capsys, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluation, "measure_model", interrupt)
    words = [str(made / "a"), *FAST, "--out", str(tmp_path / "x")]
    assert evaluate.main(words) == 130
    said = capsys.readouterr()
    assert said.out == "" and said.err.strip().startswith("Stopped. Restart with: python -m ")
    assert "\n" not in said.err.strip()


@pytest.mark.parametrize("settings", [{}, {"limit": 9}])
def test_a_run_whose_files_were_renamed_still_answers_its_test_split(tmp_path, settings):
    draw = np.random.default_rng(0)
    for number, pixels in enumerate(draw.integers(0, 256, (60, 8, 8, 3)).astype(np.uint8)):
        file = tmp_path / "photos" / "abc"[number % 3] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
    folder = _write_run(tmp_path / "run", str(tmp_path / "photos"))
    (tmp_path / "photos" / "a" / "0.png").rename(tmp_path / "photos" / "a" / "renamed.png")
    run = evaluation.TrainedRun.read(folder)
    saved = evaluation.open_saved(folder)
    images = evaluation.load_images(saved, run, settings, progress=False)
    assert images.is_test and len(images.split) == 9
    assert images.to_dict()["split_sha256"] == run.split_sha256 != images.data.split_sha256


def test_settings_of_the_data_that_are_the_runs_change_nothing_else(made):
    saved = evaluation.open_saved(made / "a")
    run = evaluation.TrainedRun.read(made / "a")
    images = evaluation.load_images(saved, run, {"limit": 9}, progress=False)
    plain = evaluation.load_images(saved, run, {}, progress=False)
    assert images.split.example_ids == plain.split.example_ids
    assert dataclasses.replace(images.config.data, limit=None) == plain.config.data
