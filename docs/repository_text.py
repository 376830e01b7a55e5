"""Puts texts of the repository into pages, and turns links to its files into links of the site.

A line `<!-- include: FILE -->` in a page becomes the text of that file of the repository, and
`<!-- include: FILE, TITLE -->` what stands under one of its titles, up to the next one. A title is
a heading, or bold words on a line of their own (words in brackets may follow). So a table of
options is written once, and read at both places. Called by mkdocs (`hooks` in mkdocs.yml).
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
DOCS = "docs/"

PAGES = {
    "README.md": "index.md",
    "README.md#from-the-command-line": "train.md",
    "README.md#in-your-own-fit": "fit.md",
    "README.md#your-own-data": "data.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "CITATION.cff": "citation.md",
}
"""Where the site has what a file of the repository, or a part of it, says."""

COPIED = ("tuner/searching/default_space.yaml",)
"""Files outside docs/ that pages link to: the site has a copy of them."""

_INCLUDE = re.compile(r"^<!-- include: (?P<file>[^,\n]+?)(?:, (?P<title>.+?))? -->$", re.MULTILINE)
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)(?P<target>[^)\s]+)(?=\))")
_OPTIONS = re.compile(r"^\| option \|.*(?:\n\|.*)*", re.MULTILINE)
_CODE_WITH_BAR = re.compile(r"`[^`\n]*\\\|[^`\n]*`")
_TITLE = re.compile(r"#{1,6} (?P<heading>.+)$|\*\*(?P<words>[^*]+)\*\*(?: \(.*\))?$")


def sections(text: str) -> dict[str, str]:
    """What stands under each title of a Markdown text, without the line of the title."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    is_code, before = False, ""
    for line in text.splitlines():
        if line.startswith("```"):
            is_code = not is_code
        match = None if is_code else _TITLE.match(line)
        if match and (match["heading"] or not before):
            lines = found.setdefault(match["heading"] or match["words"], [])
        else:
            lines.append(line)
        before = line
    return {title: "\n".join(lines).strip("\n") for title, lines in found.items()}


def site_link(target: str, folder: str, page: str) -> str:
    """A link of a text of the repository, as a page of the site needs it.

    Args:
        target: The link, relative to the folder of the text.
        folder: That folder within the repository; "" for its root.
        page: The page that the link will stand on, relative to docs/.

    Returns:
        The link relative to the page; as it came where the site has no such page.
    """
    path, mark, anchor = target.partition("#")
    path = posixpath.normpath(posixpath.join(folder, path))
    if path.startswith(DOCS):
        path = path.removeprefix(DOCS)
    elif path + mark + anchor in PAGES:
        path, mark, anchor = PAGES[path + mark + anchor], "", ""
    elif path not in COPIED:
        return target
    return posixpath.relpath(path, posixpath.dirname(page) or ".") + mark + anchor


def _with_site_links(text: str, folder: str, page: str) -> str:
    return _LINK.sub(lambda match: site_link(match["target"], folder, page), text)


def included(file: str, title: str | None, page: str) -> str:
    """The text of a file of the repository, or of one of its sections, for a page.

    Raises:
        PluginError: There is no such file, or no such title in it.
    """
    path = ROOT / file
    if not path.is_file():
        raise PluginError(f"{page} includes {file}, which is no file of the repository.")
    text = path.read_text(encoding="utf-8")
    if title is not None:
        parts = sections(text)
        if title not in parts:
            raise PluginError(
                f"{page} includes {title!r} of {file}, which has no such title. It has: "
                f"{', '.join(map(repr, parts))}"
            )
        text = parts[title]
    return _with_site_links(text.strip("\n"), posixpath.dirname(file), page)


def with_includes(markdown: str, page: str) -> str:
    """The text of a page with what it includes, and with links that the site has.

    Args:
        markdown: The page as it is written.
        page: Its file, relative to docs/.

    Raises:
        PluginError: What it includes does not exist.
    """
    text = _with_site_links(markdown, posixpath.dirname(DOCS + page), page)
    return _INCLUDE.sub(lambda match: included(match["file"], match["title"], page), text)


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """The text of a page as Python-Markdown needs it."""
    text = with_includes(markdown, page.file.src_uri)
    # On a phone, such a table is read as cards: see site.css.
    text = _OPTIONS.sub(r'<div class="options" markdown>\n\n\g<0>\n\n</div>', text)
    # In a table, GitHub wants `a\|b`, where Python-Markdown shows the backslash.
    return _CODE_WITH_BAR.sub(lambda match: match[0].replace("\\|", "|"), text)


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """The files of the site, with copies of those outside docs/ that pages link to."""
    for path in COPIED:
        files.append(File.generated(config, path, abs_src_path=os.fspath(ROOT / path)))
    return files
