"""A run on images of coloured squares with a blue corner, and its cues."""

from __future__ import annotations

import csv
import http.client
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
from PIL import Image

from proxy_keras.cues.cue_folder import load_verdicts
from proxy_keras.data import ImageData
from proxy_keras.settings import DataConfig, TrainConfig
from proxy_keras.ticking import command
from proxy_keras.ticking.cue_server import CueServer
from proxy_keras.ticking.cue_store import CueStore
from proxy_keras.ticking.examined_model import ExaminedModel
from proxy_keras.ticking.options import CueOptions

SIDE, CELLS = 16, 4


class Project(NamedTuple):
    """A folder of photos and a run on them."""

    photos: Path
    run: Path


def write_photos(folder: Path) -> None:
    """Write grey images with a square in the colour of their class and a blue corner.

    The boxes of the squares of every second image are in `boxes.csv`. Images of the class "none"
    are grey.
    """
    rng = np.random.default_rng(0)
    folder.mkdir()
    with (folder / "boxes.csv").open("w", newline="") as file:
        boxes = csv.writer(file)
        boxes.writerow(["file", "x0", "y0", "x1", "y1"])
        for channel, name in enumerate(["green", "none", "red"]):
            (folder / name).mkdir()
            for number in range(8 if name == "none" else 24):
                image = rng.integers(90, 110, [SIDE, SIDE, 3]).astype(np.uint8)
                if name != "none":
                    row, column = divmod(int(rng.integers(12)), CELLS)
                    x, y = 4 * column, 4 * row
                    image[y : y + 4, x : x + 4] = np.eye(3)[[1, 2, 0][channel]] * 250
                    image[12:, 12:] = (0, 0, 250)
                    if number % 2 == 0:
                        boxes.writerow([f"{name}/{number:02}.png", x, y, x + 3, y + 3])
                Image.fromarray(image).save(folder / name / f"{number:02}.png")


def colour_model() -> keras.Model:
    """Return a classifier of green, none and red, whose cells hold the mean colour.

    Blue favours green and red over "none".
    """
    image = keras.Input([SIDE, SIDE, 3])
    cells = keras.layers.AveragePooling2D(4)(image)
    cells = keras.layers.Conv2D(3, 1, activation="relu", name="colours")(cells)
    pooled = keras.layers.GlobalAveragePooling2D()(cells)
    model = keras.Model(image, keras.layers.Dense(3, use_bias=False)(pooled))
    model.get_layer("colours").set_weights(
        [np.eye(3, dtype="float32")[None, None], np.full([3], -120, "float32")]
    )
    head = np.array([[0, 0, 1], [1, 0, 0], [0.75, 0, 0.75]], np.float32)
    model.layers[-1].set_weights([head])
    return model


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return photos and a run without cues; do not change them."""
    folder = tmp_path_factory.mktemp("project")
    write_photos(folder / "photos")
    run = folder / "run"
    run.mkdir()
    colour_model().save(run / "model.keras")
    config = TrainConfig(data=DataConfig(str(folder / "photos"), image_size=SIDE), head_epochs=0)
    config.save(run / "config.json")
    ImageData.from_folder(folder / "photos", image_size=SIDE, progress=False).save(run)
    return Project(folder / "photos", run)


@pytest.fixture(scope="session")
def found(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the cues of the run, found by the command; do not change them."""
    folder = tmp_path_factory.mktemp("found") / "cues"
    words = ["--out", folder, "--clusters", "8", "--quiet"]
    assert command.main([str(project.run), *map(str, words)]) == 0
    return folder


@pytest.fixture(scope="session")
def found_joined(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return cues of which one is two colours joined; do not change them."""
    folder = tmp_path_factory.mktemp("joined") / "cues"
    words = ["--out", folder, "--clusters", "8", "--shown", "2", "--quiet"]
    assert command.main([str(project.run), *map(str, words)]) == 0
    return folder


@pytest.fixture
def joined(found_joined: Path, tmp_path: Path) -> Path:
    """Return a copy of these cues, to change."""
    return Path(shutil.copytree(found_joined, tmp_path / "joined"))


@pytest.fixture
def cues(found: Path, tmp_path: Path) -> Path:
    """Return a copy of the cues, to change."""
    return Path(shutil.copytree(found, tmp_path / "cues"))


class Said(NamedTuple):
    """What a command said.

    Attributes:
        code: Its exit code.
        out, err: The lines it printed.
    """

    code: int
    out: list[str]
    err: list[str]


@pytest.fixture
def run_command(project: Project, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that runs the command on the run, or on another model."""

    def run(*words: object, model: Path | None = None) -> Said:
        capsys.readouterr()
        code = command.main([str(model or project.run), "--quiet", *map(str, words)])
        said = capsys.readouterr()
        return Said(code, said.out.splitlines(), said.err.splitlines())

    return run


class Served(NamedTuple):
    """The cues of a folder, served."""

    folder: Path
    server: CueServer

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://127.0.0.1:{self.server.port}/"

    @property
    def verdicts(self) -> dict[str, str]:
        """The verdicts in the folder."""
        return dict(load_verdicts(self.folder).current)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Send a request whose body, unless it is bytes, is sent as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        if content is not None:
            names = {"Content-Type": "application/json", **names}
        connection.request(method, path, content, names)
        answer = connection.getresponse()
        found = Answer(answer.status, answer.headers, answer.read())
        connection.close()
        return found


class Answer(NamedTuple):
    """An answer of the server."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The content."""
        return json.loads(self.body)


@contextmanager
def serving(project: Project, folder: Path, **options: Any) -> Iterator[Served]:
    """Serve a folder of cues in a thread."""
    source = ExaminedModel(project.run, {}, progress=False)
    store = CueStore(source, CueOptions(out=folder, quiet=True, **options), frozenset())
    server = CueServer(store)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Served(folder, server)
    finally:
        server.should_exit = True
        thread.join(30)
    assert not thread.is_alive()


@pytest.fixture
def served(project: Project, cues: Path) -> Iterator[Served]:
    """Return the served cues."""
    with serving(project, cues) as served:
        yield served
