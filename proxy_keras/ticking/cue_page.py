"""Cues as one HTML page: a file that stands alone, or the page of the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from proxy_keras.cues.cues import Cues
from proxy_keras.cues.pictures import Picture
from proxy_keras.cues.verdicts import NOT_OBJECT, OBJECT
from proxy_keras.ticking.verdict_options import WORDS
from proxy_keras.ticking.wording import count, describe, percent


@dataclass(frozen=True)
class CueView:
    """A cue as the page shows it.

    Attributes:
        name: Its name.
        sentences: Its facts in plain words, the most important first.
        verdict: Its own verdict; None: it has none.
        said: That verdict, or that of the cue it is a half of, in words; "": open.
        groups: A heading and pictures each; empty if there are none.
        halves: Its halves, if they are shown.
        can_split: Whether it has halves.
        depth: How often the shown cue was split.
    """

    name: str
    sentences: list[str]
    verdict: str | None
    said: str
    groups: list[tuple[str, list[Picture]]]
    halves: list[CueView]
    can_split: bool
    depth: int


def view_cue(
    cues: Cues, name: str, pictures: Mapping[str, list[Picture]], *, opens: Callable[[str], bool]
) -> CueView:
    """Return a cue as the page shows it.

    Args:
        cues: The cues.
        name: Its name.
        pictures: Pictures by the name of their cue.
        opens: Returns whether the halves of a cue are shown too.
    """
    halves = cues.tree.halves_of(name)
    verdict = cues.verdicts.current.get(name)
    return CueView(
        name=name,
        sentences=describe(cues.facts(name), cues.classes, cues.error_rate),
        verdict=verdict,
        said=said_of(cues, name),
        groups=picture_groups(pictures.get(name, [])),
        halves=[view_cue(cues, half, pictures, opens=opens) for half in halves]
        if halves and opens(name)
        else [],
        can_split=bool(halves),
        depth=len(name) - len(name.rstrip("ab")),
    )


def said_of(cues: Cues, name: str) -> str:
    """Return in words what was said of a cue, or of the one it is a part of; "": nothing.

    What is said of a mixture says nothing of its halves.
    """
    current = cues.verdicts.current
    if name in current:
        return WORDS[current[name]]
    whole = name
    while whole[-1] in "ab":
        whole = whole[:-1]
        if current.get(whole) in (OBJECT, NOT_OBJECT):
            return f"{WORDS[current[whole]]}, like {whole}"
    return ""


def picture_groups(pictures: list[Picture]) -> list[tuple[str, list[Picture]]]:
    """Return pictures under a heading for each kind."""
    kinds = (("Nearest to its centre", True), ("Drawn at random", False))
    groups = [(title, [one for one in pictures if one.is_nearest == kind]) for title, kind in kinds]
    return [(title, of) for title, of in groups if of]


def has_verdict_below(cues: Cues, name: str) -> bool:
    """Return whether a half of a cue, or a part of one, has a verdict of its own."""
    return any(
        of != name and of.rstrip("ab") == name.rstrip("ab") and of.startswith(name)
        for of in cues.verdicts.current
    )


def summary(cues: Cues) -> str:
    """Return in a sentence how much is ticked."""
    if not cues.ticked:
        return "Nothing is ticked."
    many = count(len(cues.ticked), "cue")
    return f"Ticked: {many}, {percent(cues.ticked_evidence)} of the evidence."


def standalone_page(
    cues: Cues, pictures: Mapping[str, list[Picture]], *, title: str, problem: str, command: str
) -> str:
    """Render the page that stands alone, without scripts and other files.

    Args:
        cues: The cues.
        pictures: Pictures by the name of their cue.
        title: What the cues are of.
        problem: Why there are no pictures; "": there are.
        command: The command that serves the page for ticking.
    """

    def opens(name: str) -> bool:
        halves = cues.tree.halves_of(name)
        return has_verdict_below(cues, name) or any(half in pictures for half in halves)

    return (
        _templates()
        .get_template("cues.html.jinja")
        .render(
            title=title,
            cues=[view_cue(cues, name, pictures, opens=opens) for name in cues.shown],
            summary=summary(cues),
            images=count(len(cues.images), "image"),
            layer=cues.target_layer,
            problem=problem,
            command=command,
            is_served=False,
            css=Markup(_file("cues.css")),
        )
    )


def served_page(
    cues: Cues, pictures: Mapping[str, list[Picture]], *, title: str, problem: str
) -> str:
    """Render the page of the server."""
    return (
        _templates()
        .get_template("cues.html.jinja")
        .render(
            title=title,
            cues=[
                view_cue(cues, name, pictures, opens=lambda of: has_verdict_below(cues, of))
                for name in cues.shown
            ],
            summary=summary(cues),
            images=count(len(cues.images), "image"),
            layer=cues.target_layer,
            problem=problem,
            command="",
            is_served=True,
            css="",
        )
    )


def halves_part(cues: Cues, name: str, pictures: Mapping[str, list[Picture]], problem: str) -> str:
    """Render the halves of a cue, for the page of the server; see `standalone_page`."""
    view = view_cue(
        cues, name, pictures, opens=lambda of: of == name or has_verdict_below(cues, of)
    )
    return _part("halves", view, True, problem)


def pictures_part(pictures: list[Picture]) -> str:
    """Render more pictures of a cue, for the page of the server."""
    return _part("groups", picture_groups(pictures))


def _part(macro: str, *values: Any) -> str:
    """Render a macro of the card of a cue."""
    return str(getattr(_templates().get_template("card.html.jinja").module, macro)(*values))


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FunctionLoader(_file),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _file(name: str) -> str:
    page = resources.files("proxy_keras.ticking") / "page"
    return (page / name).read_text(encoding="utf-8")
