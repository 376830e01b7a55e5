"""What a report is made of: text, tables, pictures; a template turns them into a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from proxy_keras.io.figures import Figure

SMALL = 96
"""Images up to this side in pixels are shown with their pixels, and collection without loss."""


@dataclass(frozen=True)
class EmbeddedImage:
    """A picture that a page holds in itself.

    Attributes:
        uri: The picture as a data URI.
        alt: What it shows, for those who do not see it.
        is_small: Whether its pixels should stay sharp where it is enlarged.
    """

    uri: str
    alt: str
    is_small: bool = False

    @classmethod
    def from_array(cls, image: NDArray[np.uint8], alt: str) -> EmbeddedImage:
        """Pixels [H, W, 3] uint8."""
        is_small = max(image.shape[:2]) <= SMALL
        kind: dict[str, Any] = {"format": "PNG"} if is_small else {"format": "JPEG", "quality": 88}
        made = io.BytesIO()
        Image.fromarray(image).save(made, **kind)
        return cls(_uri(f"image/{kind['format'].lower()}", made.getvalue()), alt, is_small)

    @classmethod
    def from_figure(cls, figure: Figure, alt: str) -> EmbeddedImage:
        """A chart, as SVG; the same figure gives the same bytes.

        Its letters stay text: a browser has fonts for more scripts than matplotlib finds here.
        """
        made = io.BytesIO()
        with matplotlib.rc_context({"svg.hashsalt": "report", "svg.fonttype": "none"}):
            figure.savefig(made, format="svg", metadata={"Date": None})
        return cls(_uri("image/svg+xml", made.getvalue()), alt)

    @classmethod
    def from_file(cls, file: Path, alt: str) -> EmbeddedImage:
        """A PNG file."""
        return cls(_uri("image/png", file.read_bytes()), alt)


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


@dataclass(frozen=True)
class StyledText:
    """Text that is good news ("better") or bad ("worse"); "soft": of less weight."""

    text: str
    tone: str = ""


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    is_soft: bool = False


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        header: The heads of the columns.
        rows: A cell per column: text or `StyledText`.
        numeric: Places of the columns with numbers.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str | StyledText]]
    numeric: Sequence[int] = ()


@dataclass(frozen=True)
class Card:
    """Pictures side by side with lines below."""

    images: Sequence[EmbeddedImage]
    lines: Sequence[StyledText]


@dataclass(frozen=True)
class Cards:
    """Cards, as many in a row as there is room for."""

    cards: Sequence[Card]
    is_wide: bool = False


@dataclass(frozen=True)
class FigurePart:
    """A chart or sheet with what it shows below.

    Attributes:
        image: The picture.
        caption: What it shows.
        is_sheet: Whether it may be wider than the page and is then scrolled.
    """

    image: EmbeddedImage
    caption: str
    is_sheet: bool = False


@dataclass(frozen=True)
class Code:
    """Text as it is typed."""

    text: str


@dataclass(frozen=True)
class Collapsible:
    """A long table, or long text, that opens when asked for; in print it is open."""

    summary: str
    table: Table | None = None
    text: str = ""


@dataclass(frozen=True)
class FindingsPart:
    """Findings, each with the number that it stands on."""

    findings: Sequence[Any]


Part = Text | Table | Cards | FigurePart | Code | Collapsible | FindingsPart


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading of its own.

    Attributes:
        id: Where links point.
        title: The heading.
        parts: What it holds.
    """

    id: str
    title: str
    parts: list[Part] = field(default_factory=list)


@dataclass(frozen=True)
class Report:
    """A page.

    Attributes:
        title: What was evaluated.
        subtitle: On what.
        facts: (name, value) of the most important numbers.
        sections: The rest, in order.
    """

    title: str
    subtitle: str
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]


@dataclass
class FigureCollection:
    """The charts of a report by name, collection for TensorBoard."""

    made: dict[str, Figure] = field(default_factory=dict)

    def add(self, name: str, figure: Figure, caption: str) -> FigurePart:
        """The chart as a part of the report."""
        self.made[name] = figure
        return FigurePart(EmbeddedImage.from_figure(figure, caption), caption)
