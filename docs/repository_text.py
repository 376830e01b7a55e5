"""Includes files of the repository in pages, and turns links to files into links of the site.

A line `<!-- include: FILE -->` in a page is replaced by the text of that file of the repository.
mkdocs calls this module (`hooks` in mkdocs.yml).
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
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "CITATION.cff": "citation.md",
}
"""The pages of the site that hold files of the repository."""

COPIED = ("tuner/searching/default_space.yaml",)
"""Files outside docs/ that pages link to, and that are copied to the site."""

_INCLUDE = re.compile(r"^<!-- include: (?P<file>.+) -->$", re.MULTILINE)
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)(?P<target>[^)\s]+)(?=\))")
_OPTIONS = re.compile(r"^\| option \|.*(?:\n\|.*)*", re.MULTILINE)
_CODE_WITH_BAR = re.compile(r"`[^`\n]*\\\|[^`\n]*`")


def site_link(target: str, folder: str, page: str) -> str:
    """Return a link of a file of the repository as a link of a page of the site.

    Args:
        target: The link, relative to the folder of the file.
        folder: That folder within the repository; "" for its root.
        page: The page that will contain the link, relative to docs/.

    Returns:
        The link relative to the page; unchanged if the site has no such page.
    """
    path, mark, anchor = target.partition("#")
    path = posixpath.normpath(posixpath.join(folder, path))
    if path.startswith(DOCS):
        path = path.removeprefix(DOCS)
    elif path in PAGES:
        path = PAGES[path]
    elif path not in COPIED:
        return target
    return posixpath.relpath(path, posixpath.dirname(page) or ".") + mark + anchor


def _with_site_links(text: str, folder: str, page: str) -> str:
    return _LINK.sub(lambda match: site_link(match["target"], folder, page), text)


def included(file: str, page: str) -> str:
    """Return the text of a file of the repository for a page.

    Raises:
        PluginError: There is no such file.
    """
    path = ROOT / file
    if not path.is_file():
        raise PluginError(f"{page} includes {file}, which is not a file of the repository.")
    text = path.read_text(encoding="utf-8").strip("\n")
    return _with_site_links(text, posixpath.dirname(file), page)


def with_includes(markdown: str, page: str) -> str:
    """Return the text of a page with its includes, and with links of the site.

    Args:
        markdown: The page as written.
        page: Its file, relative to docs/.

    Raises:
        PluginError: An included file does not exist.
    """
    text = _with_site_links(markdown, posixpath.dirname(DOCS + page), page)
    return _INCLUDE.sub(lambda match: included(match["file"], page), text)


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Return the text of a page in the form that Python-Markdown needs."""
    text = with_includes(markdown, page.file.src_uri)
    # On a phone, site.css shows these tables as cards.
    text = _OPTIONS.sub(r'<div class="options" markdown>\n\n\g<0>\n\n</div>', text)
    # In tables, GitHub needs `a\|b`, but Python-Markdown would show the backslash.
    return _CODE_WITH_BAR.sub(lambda match: match[0].replace("\\|", "|"), text)


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Return the files of the site, including those outside docs/ that pages link to."""
    for path in COPIED:
        files.append(File.generated(config, path, abs_src_path=os.fspath(ROOT / path)))
    return files
