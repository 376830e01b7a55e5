"""Building blocks of a report: text, tables, images. A template turns them into a page."""

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
"""Images up to this side in pixels are enlarged without smoothing and stored without loss."""


@dataclass(frozen=True)
class EmbeddedImage:
    """An image that is embedded in the page.

    Attributes:
        uri: The image as a data URI.
        alt: Alternative text.
        is_small: Whether to enlarge it without smoothing.
    """

    uri: str
    alt: str
    is_small: bool = False

    @classmethod
    def from_array(cls, image: NDArray[np.uint8], alt: str) -> EmbeddedImage:
        """Embed pixels [H, W, 3] uint8."""
        is_small = max(image.shape[:2]) <= SMALL
        kind: dict[str, Any] = {"format": "PNG"} if is_small else {"format": "JPEG", "quality": 88}
        made = io.BytesIO()
        Image.fromarray(image).save(made, **kind)
        return cls(_uri(f"image/{kind['format'].lower()}", made.getvalue()), alt, is_small)

    @classmethod
    def from_figure(cls, figure: Figure, alt: str) -> EmbeddedImage:
        """Embed a chart as SVG; equal figures give equal bytes.

        Text stays text, because browsers have fonts for more scripts than matplotlib finds.
        """
        made = io.BytesIO()
        with matplotlib.rc_context({"svg.hashsalt": "report", "svg.fonttype": "none"}):
            figure.savefig(made, format="svg", metadata={"Date": None})
        return cls(_uri("image/svg+xml", made.getvalue()), alt)

    @classmethod
    def from_file(cls, file: Path, alt: str) -> EmbeddedImage:
        """Embed a PNG file."""
        return cls(_uri("image/png", file.read_bytes()), alt)


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


@dataclass(frozen=True)
class StyledText:
    """Text with a tone: "better", "worse", "soft" (less important) or none."""

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
        header: Column headers.
        rows: One cell per column, text or `StyledText`.
        numeric: Indices of the numeric columns.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str | StyledText]]
    numeric: Sequence[int] = ()


@dataclass(frozen=True)
class Card:
    """Images side by side with caption lines below."""

    images: Sequence[EmbeddedImage]
    lines: Sequence[StyledText]


@dataclass(frozen=True)
class Cards:
    """A grid of cards."""

    cards: Sequence[Card]
    is_wide: bool = False


@dataclass(frozen=True)
class FigurePart:
    """A chart or image sheet with a caption.

    Attributes:
        image: The image.
        caption: The caption.
        is_sheet: Whether it scrolls if it is wider than the page.
    """

    image: EmbeddedImage
    caption: str
    is_sheet: bool = False


@dataclass(frozen=True)
class Code:
    """Preformatted text."""

    text: str


@dataclass(frozen=True)
class Collapsible:
    """A table or text that is collapsed on screen and open in print."""

    summary: str
    table: Table | None = None
    text: str = ""


@dataclass(frozen=True)
class FindingsPart:
    """A list of findings with their numbers."""

    findings: Sequence[Any]


@dataclass(frozen=True)
class OutlinedImage:
    """An image with an outline.

    Attributes:
        image: The whole image.
        outline: Path of the outline in SVG, in units of cells.
        cells: Columns and rows of cells.
        lines: Caption lines.
        crop: The crop above the image; None: none.
        box: x, y, width and height of the crop, in units of cells; None: none.
    """

    image: EmbeddedImage
    outline: str
    cells: tuple[int, int]
    lines: Sequence[StyledText]
    crop: EmbeddedImage | None = None
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class OutlinedImages:
    """Images with outlines, under a heading.

    Attributes:
        title: The heading; "": none.
        lines: Lines below the heading.
        images: The images.
    """

    title: str
    lines: Sequence[StyledText]
    images: Sequence[OutlinedImage]


@dataclass(frozen=True)
class OutlinedGroups:
    """Groups of images with outlines.

    Attributes:
        groups: The groups.
        summary: Text under which they are collapsed on screen; "": they are open.
    """

    groups: Sequence[OutlinedImages]
    summary: str = ""


Part = Text | Table | Cards | FigurePart | Code | Collapsible | FindingsPart | OutlinedGroups


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Attributes:
        id: Anchor of the section.
        title: The heading.
        parts: The content.
    """

    id: str
    title: str
    parts: list[Part] = field(default_factory=list)


@dataclass(frozen=True)
class Report:
    """A report.

    Attributes:
        title: The title.
        subtitle: The line below it.
        facts: (name, value) of the most important numbers.
        sections: The sections, in order.
    """

    title: str
    subtitle: str
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]


@dataclass
class FigureCollection:
    """The charts of a report by name, also for TensorBoard."""

    figures: dict[str, Figure] = field(default_factory=dict)

    def add(self, name: str, figure: Figure, caption: str) -> FigurePart:
        """Add a chart and return it as a part of the report."""
        self.figures[name] = figure
        return FigurePart(EmbeddedImage.from_figure(figure, caption), caption)
