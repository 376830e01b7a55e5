"""The README is short, its code runs, and the option tables of the pages are complete."""

import re
from pathlib import Path

import pytest

from proxy_keras.attribution import names
from tests.documents import PAGES, PARSERS, README, ROOT, blocks, commands, parsed, write_photos

SERVING = PAGES["serving"]


def test_readme_is_short():
    assert len(README.splitlines()) <= 130


@pytest.mark.parametrize("file", ["README.md", "CONTRIBUTING.md"])
def test_relative_links_lead_to_files(file):
    text = (ROOT / file).read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text)
    assert targets or file != "README.md"
    assert [target for target in targets if not Path(ROOT, target).exists()] == []


def test_anchors_are_headings():
    found = re.findall(r"\]\((docs/[\w/]+\.md)#([\w-]+)\)", README)
    assert found
    for page, anchor in found:
        assert anchor in _anchors((ROOT / page).read_text(encoding="utf-8"))


def _anchors(page):
    headings = re.findall(r"^#+ (.+)$", page, flags=re.MULTILINE)
    return [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in headings]


@pytest.mark.slow
# Keras warns that it does not shuffle a tf.data.Dataset, which a reader will see too.
@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning")
def test_python_blocks_run(tmp_path, monkeypatch):
    write_photos(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    codes = blocks("python", README)
    assert len(codes) == 1
    names: dict = {}
    for block in codes:
        exec(compile(block, "README.md", "exec"), names)
    assert names["cues"].ticked == ["1"]
    [step] = names["proxy"].steps
    assert step.made > 0


@pytest.mark.parametrize("line", commands([README]))
def test_command_lines_are_understood(line):
    assert vars(parsed(line))


def test_every_command_is_shown():
    shown = {line.split()[2] for line in commands([README, *PAGES.values()])}
    assert shown == set(PARSERS)


def _section(page, heading):
    return page.split(f"## {heading}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("proxy_keras.train", PAGES["train"]),
        ("proxy_keras.explain", PAGES["explain"]),
        ("export", _section(SERVING, "Export")),
        ("serve.predict", _section(SERVING, "Predict")),
        ("serve.server", _section(SERVING, "Serve")),
        ("proxy_keras.augment.gallery", PAGES["gallery"]),
        ("proxy_keras.watch", _section(PAGES["watch"], "Options")),
        ("proxy_keras.evaluate", PAGES["evaluation"]),
        ("tuner.aggregate", PAGES["aggregate"]),
    ],
)
def test_option_tables_are_complete(command, text):
    documented = set(re.findall(r"`?(--[a-z][a-z-]+)", text))
    assert documented - {"--data-binary"} == _options(command)


def _options(command):
    known = {o for action in PARSERS[command]()._actions for o in action.option_strings}
    return known - {"-h", "--help"}


@pytest.mark.parametrize("command", ["tuner.search", "tuner.study"])
def test_own_options_of_commands_that_train_are_in_their_tables(command):
    page = PAGES[command.partition(".")[2].replace("study", "studies")]
    rows = "".join(line for line in page.splitlines() if line.startswith("| `--"))
    own = _options(command) - _options("proxy_keras.train") | {"--out", "--quiet"}
    missing = {o for o in own if o not in rows and o.replace("--no-", "--") not in rows}
    assert missing <= {"--out", "--no-controls", "--controls"}


def test_every_method_is_in_the_documentation():
    section = PAGES["explanations"].split("## The methods")[1].split("## Checks")[0]
    for name in names():
        assert f"`{name}`" in section, name
    numbers = {34: "thirty-four"}
    assert f"{numbers[len(names())]} attribution methods" in README
