"""The pages of docs/: their code runs, their commands parse, and the site is whole and quiet."""

from __future__ import annotations

import functools
import http.server
import importlib
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tritonclient.http as triton
from mkdocs.exceptions import PluginError
from playwright.sync_api import sync_playwright

import proxy_keras
from docs import option_tables, repository_text
from proxy_keras import attribution, augment
from proxy_keras.data import ImageData
from proxy_keras.settings import PRESETS, ProxyConfig, declared
from proxy_keras.settings.robust import METHODS
from proxy_keras.settings.wording import default_text
from tests.documents import (
    DOCS,
    PAGES,
    PARSERS,
    ROOT,
    blocks,
    commands,
    parsed,
    write_photos,
)
from tests.tuner.fake_runs import write_run

Namespace = dict[str, Any]


def small_network(size: int, classes: int) -> keras.Model:
    images = keras.Input((size, size, 3))
    cells = keras.layers.Conv2D(4, 3, strides=2, activation="relu")(images)
    cells = keras.layers.Conv2D(4, 3, strides=2, activation="relu")(cells)
    return keras.Model(
        images, keras.layers.Dense(classes)(keras.layers.GlobalAveragePooling2D()(cells))
    )


def photos(*, each: int = 25) -> Namespace:
    write_photos(Path("photos"), each=each)
    return {}


def few_photos() -> Namespace:
    return photos(each=10)


def trained_model() -> Namespace:
    images = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
    return {"model": small_network(16, 4), "images": images, "labels": np.array([1, 2])}


def data_and_batches() -> Namespace:
    write_photos(Path("photos"))
    data = ImageData.from_folder("photos", image_size=32, progress=False)
    names = {"proxy_keras": proxy_keras, "keras": keras, "data": data}
    return names | {"batches": data.train.batches(8, one_hot=True)}


def saved_model() -> Namespace:
    small_network(224, 2).save("model.keras")
    return {}


def finished_runs() -> Namespace:
    write_run(Path("runs/a"), test=0.25)
    write_run(Path("runs/b"), test=0.75)
    return {}


NEEDED: dict[str, Callable[[], Namespace]] = {
    "aggregate": finished_runs,
    "augmentations": data_and_batches,
    "concepts": dict,
    "cues": trained_model,
    "data": photos,
    "distributed": few_photos,
    "explanations": trained_model,
    "fit": photos,
    "index": dict,
}
"""What the Python of a page stands on: files in the working folder, and names."""

APART = {"serving"}
"""Pages whose Python needs more than names: a test each."""


def python_of(page: str) -> list[str]:
    """Return the Python blocks of a page, in order."""
    return blocks("python", PAGES[page])


def run(codes: list[str], page: str, names: Namespace) -> Namespace:
    for code in codes:
        exec(compile(code, f"{page}.md", "exec"), names)
    return names


@pytest.fixture
def small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any network asked for is a small one: what is tested is the page."""

    def build(name: str, *, num_classes: int, image_size: int) -> keras.Model:
        return small_network(image_size, num_classes)

    monkeypatch.setattr(proxy_keras, "build_model", build)


@pytest.fixture
def short_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that no schedule binds to its length is cut to two epochs."""
    fit = keras.Model.fit

    def fit_shortly(model: keras.Model, *words: Any, epochs: int = 1, **options: Any) -> Any:
        is_bound = bool(options.get("callbacks"))
        return fit(model, *words, epochs=epochs if is_bound else min(epochs, 2), **options)

    monkeypatch.setattr(keras.Model, "fit", fit_shortly)


def test_all_python_is_run() -> None:
    with_python = {page for page in PAGES if python_of(page)}
    assert with_python == set(NEEDED) | APART


@pytest.mark.slow
# Keras warns that it does not shuffle a tf.data.Dataset, which a reader will see too.
@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning")
@pytest.mark.usefixtures("small_networks", "short_trainings")
@pytest.mark.parametrize("page", NEEDED)
def test_the_python_of_a_page_runs(
    page: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mirrored: tf.distribute.MirroredStrategy,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tf.distribute, "MirroredStrategy", lambda devices: mirrored)
    names = run(python_of(page), page, NEEDED[page]())
    for code, name in EXPECTED.get(page, {}).items():
        assert eval(code, names) == name, code
    if page == "concepts":
        assert_prints_its_comments(PAGES[page], capsys.readouterr().out)


EXPECTED: dict[str, dict[str, object]] = {
    "aggregate": {"table['test_accuracy'].tolist()": [0.25, 0.75]},
    "augmentations": {"len(model.history.history['loss'])": 2},
    "data": {"(len(data.train), len(data.val), len(data.test))": (84, 24, 12)},
    "distributed": {"model.history.epoch[-1]": 3, "len(proxy.steps)": 1},
    "explanations": {"(logits.shape, attributions.shape)": ((2, 4), (2, 16, 16, 3))},
    "fit": {"[step.epoch for step in proxy.steps]": [1, 3], "enlarged.shape": (4, 64, 64)},
    "index": {"sorted(p.name for p in Path('photos').iterdir())": ["cat", "dog"]},
}
"""What must be so after a page's Python has run."""


def assert_prints_its_comments(page: str, printed: str) -> None:
    """The lines of comments that begin a line say what the code before them prints."""
    code = "".join(blocks("python", page))
    told = [line.removeprefix("# ") for line in code.splitlines() if line.startswith("# ")]
    assert len(told) > 4 and told == printed.splitlines()


@pytest.mark.slow
def test_the_python_of_serving_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exporting, asking = python_of("serving")
    names = run([exporting], "serving", saved_model())
    words = [sys.executable, "-m", "serve.server", "photos=photos.onnx", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stderr is not None
            found = (re.search(r"Serving at http://(\S+)", line) for line in server.stderr)
            address = next(match[1] for match in found if match)
            connect = functools.partial(triton.InferenceServerClient, address)
            monkeypatch.setattr(triton, "InferenceServerClient", lambda _: connect())
            answer = run([asking], "serving", names)["answer"]
            names["client"].close()
        finally:
            server.terminate()
    assert answer.as_numpy("probabilities").shape == (2, 2)
    assert answer.as_numpy("heatmap").shape == (2, 55, 55)


@pytest.mark.parametrize("line", commands(PAGES.values()))
def test_command_lines_are_understood(line: str) -> None:
    assert vars(parsed(line))


def test_every_command_is_on_the_page_of_commands() -> None:
    listed = set(re.findall(r"^\| `python -m (\S+)` \|", PAGES["commands"], flags=re.MULTILINE))
    assert listed == set(PARSERS) | {"proxy_keras.demo"}


@pytest.mark.parametrize(
    ("page", "folder", "names"),
    [
        ("explanations", "methods", attribution.names()),
        ("augmentations", "augmentations", augment.names()),
    ],
    ids=["explanations", "augmentations"],
)
def test_every_method_has_its_picture(page: str, folder: str, names: list[str]) -> None:
    shown = re.findall(rf"\(images/{folder}/(\w+)\.png\)", PAGES[page])
    assert sorted(shown) == sorted([*names, "images"])
    rows = [line for line in PAGES[page].splitlines() if line.startswith("| `")]
    beside = {m[1] for row in rows if (m := re.match(rf"\| `(\w+)`.*/{folder}/\1\.png\)", row))}
    assert beside | {"curriculum"} >= set(names)


def all_pages() -> list[Path]:
    return sorted(DOCS.rglob("*.md"))


def test_every_picture_is_there() -> None:
    found = 0
    for page in all_pages():
        for target in re.findall(r"!\[[^\]]*\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).is_file(), f"{page}: {target}"
            found += 1
    assert found > 60


def test_every_study_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for report in (DOCS / "studies").glob("*/report.md"):
        assert f": {report.relative_to(DOCS).as_posix()}\n" in navigation, report


@pytest.mark.parametrize("package", ["", ".attribution", ".augment", ".metrics"])
def test_everything_public_is_in_the_api(package: str) -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in (DOCS / "api").glob("*.md"))
    documented = set(re.findall(r"^::: proxy_keras\.[\w.]*?(\w+)$", pages, flags=re.MULTILINE))
    assert documented >= set(importlib.import_module(f"proxy_keras{package}").__all__)


@pytest.mark.parametrize(
    ("target", "folder", "page", "link"),
    [
        ("docs/explanations.md#checks", "", "train.md", "explanations.md#checks"),
        ("docs/images/page.png", "", "api/a.md", "../images/page.png"),
        ("../CONTRIBUTING.md#tests", "docs", "search.md", "contributing.md#tests"),
        ("../README.md", "docs", "search.md", "index.md"),
        ("../studies.md", "docs/studies", "studies/README.md", "../studies.md"),
        ("../proxy_keras/training/run.py", "docs", "a.md", "../proxy_keras/training/run.py"),
    ],
)
def test_links_of_the_repository_become_links_of_the_site(
    target: str, folder: str, page: str, link: str
) -> None:
    assert repository_text.site_link(target, folder, page) == link


def test_files_of_the_repository_are_included() -> None:
    included = repository_text.with_includes("a\n\n<!-- include: CITATION.cff -->\n\nb", "a.md")
    assert included.startswith("a\n\ncff-version: ") and included.endswith("\n\nb")


def test_including_a_missing_file_ends_the_build() -> None:
    with pytest.raises(PluginError, match="a.md includes NONE.md, which is not a file"):
        repository_text.with_includes("<!-- include: NONE.md -->", "a.md")


def test_option_tables_are_those_of_the_declarations() -> None:
    for name in option_tables.PAGES:
        page = PAGES[name.removesuffix(".md")]
        assert option_tables.with_tables(page) == page, "Run python docs/option_tables.py"
    page = PAGES["train"]
    for cls in option_tables.CLASSES.values():
        table = option_tables.option_table(cls)
        assert table in page
        for setting in declared(cls).values():
            start = re.compile(rf"\| `{setting.option}[ `]")
            [row] = [row for row in table.splitlines() if start.match(row)]
            assert setting.about.help in row and default_text(setting) in row
            explained = setting.name in option_tables.SEE
            assert explained or all(f"`{name}`" in row for name in setting.choices)


def test_every_robust_method_is_on_its_page_with_its_source() -> None:
    page = PAGES["robust"]
    for name, method in METHODS.items():
        assert f"| `{name}` |" in page and f"**`{name}`**" in page
        author, year = method.paper.split()[0].strip(","), method.paper[-5:-1]
        [sources] = [line for line in page.splitlines() if line.startswith("Sources: ")]
        assert re.search(rf"`{name}`: {author}[^;]*{year}", sources)


def test_the_settings_of_the_shortcut_preset_are_those_of_the_page() -> None:
    match = re.search(r"`shortcut`: `(--.+)`\.", PAGES["train"])
    assert match is not None
    words = match[1].split()
    given = dict(zip(words[::2], words[1::2], strict=True))
    options = {declared(ProxyConfig)[name].option: v for name, v in PRESETS["shortcut"].items()}
    assert given == {o: f"{v:g}" if isinstance(v, float) else v for o, v in options.items()}


def test_option_tables_replace_old_text_and_escape_bars() -> None:
    old = "a\n<!-- options: recipe -->\n\n| old |\n\n<!-- /options -->\nb"
    new = option_tables.with_tables(old)
    assert "| old |" not in new and new.startswith("a\n<!-- options: recipe -->\n\n| option |")
    assert r"| `--lr LR\|auto` | 0.001 |" in new and "A number > 0, or `auto`. |" in new
    assert new.endswith(" |\n\n<!-- /options -->\nb")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    words = ["-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


class Resources(HTMLParser):
    """Addresses that a page loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {"src", "srcset", "poster", "data"} | ({"href"} if tag == "link" else set())
        self.found += [value for name, value in attrs if name in names and value]


@pytest.mark.slow
def test_the_api_shows_the_declared_settings(site: Path) -> None:
    page = (site / "api/proxy_keras.html").read_text(encoding="utf-8")
    words = " ".join(re.sub(r"<[^>]+>", "", page).split())
    assert "threshold (float, default: 0.85 ) – Heat at or above which pixels are" in words
    assert "settings&gt;" not in words


@pytest.mark.slow
def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > len(PAGES)
    for page in pages:
        reader = Resources()
        reader.feed(page.read_text(encoding="utf-8"))
        assert reader.found
        for address in reader.found:
            assert not re.match(r"(?:[a-z]+:)?//", address), f"{page}: {address}"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(\W?(?:https?:)?//|@import", sheet.read_text(encoding="utf-8"))


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server of files that says nothing."""

    def log_message(self, format: str, *values: Any) -> None:
        pass


@pytest.fixture
def served(site: Path) -> Iterator[str]:
    """The address of the site, served on this machine."""
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.mark.slow
def test_every_page_fits_a_phone_and_asks_no_other_host(site: Path, served: str) -> None:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program is not None, "Chromium is not installed: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 844})
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: asked.append(f"{message.type}: {message.text}"))
        for file in sorted(site.rglob("*.html")):
            page.goto(served + file.relative_to(site).as_posix())
            assert page.evaluate("document.documentElement.scrollWidth") == 390, file
        browser.close()
    assert len(asked) > 100
    assert [url for url in asked if not url.startswith((served, "data:", "blob:"))] == []
