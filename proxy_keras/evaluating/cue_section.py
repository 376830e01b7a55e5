"""The section of a report on the cues of the model: what it looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from proxy_keras.cues.pictures import Picture
from proxy_keras.evaluating.cue_words import names_of, percent, reason_in_words
from proxy_keras.evaluating.report_parts import (
    Code,
    EmbeddedImage,
    OutlinedGroups,
    OutlinedImage,
    OutlinedImages,
    Part,
    Section,
    StyledText,
    Table,
    Text,
)

OPEN = 6
"""Number of cues that are shown open, unless more deserve a look."""


def cue_section(
    metrics: Mapping[str, Any], pictures: Mapping[str, Sequence[Picture]], command: str
) -> Section:
    """Build the section from `metrics.json`.

    Args:
        metrics: The content of `metrics.json`, with `cues`.
        pictures: Pictures of each cue by its name.
        command: The command with which cues are ticked.
    """
    cues = metrics["cues"]
    title = "What it looks at"
    if "reason" in cues:
        return Section("cues", title, [Text(f"The cues could not be found. {cues['reason']}")])
    found, suspicious = cues["found"], cues["suspicious"]
    first = max(OPEN, max((int(name) for name in suspicious), default=0))
    parts: list[Part] = [
        Text(
            "The cells of the last feature map that speak for the predicted class, grouped by "
            "what they look like. Each group is a cue: one thing that the model looks at. Most "
            "suspicious first."
        ),
        *_advice(cues, command),
        Table(
            ["cue", "evidence", "on the object", "wrong where it leads", "purity", "look"],
            [_row(cue) for cue in found],
            numeric=(1, 2, 3, 4),
        ),
        OutlinedGroups([_group(cue, cues, pictures) for cue in found[:first]]),
    ]
    if rest := [_group(cue, cues, pictures) for cue in found[first:]]:
        parts.append(OutlinedGroups(rest, f"The other {len(rest)} cues"))
    return Section("cues", title, parts)


def _advice(cues: Mapping[str, Any], command: str) -> list[Part]:
    suspicious = cues["suspicious"]
    if suspicious:
        one = len(suspicious) == 1
        text = (
            f"{names_of(suspicious).capitalize()} {'deserves' if one else 'deserve'} a look "
            f"({cues['suspicious_share']:.0%} of the evidence). Does the yellow outline surround "
            "what should decide the class? If not, tick the cue and train without it. The "
            "following command finds the cues in the training images, where their numbers differ:"
        )
    else:
        text = (
            "No cue stands out by its place or its errors. That does not rule out a shortcut: go "
            "through the pictures, and ask whether the yellow outline surrounds what should "
            "decide the class. If not, tick the cue and train without it. The following command "
            "finds the cues in the training images, where their numbers differ:"
        )
    parts: list[Part] = [Text(text), Code(command)]
    if not cues["images_with_known_object"]:
        parts.append(
            Text(
                "The positions of the objects are unknown. Give --masks or --boxes to measure how "
                "much of each cue lies on them; some images are enough.",
                is_soft=True,
            )
        )
    return parts


def _row(cue: Mapping[str, Any]) -> list[str | StyledText]:
    return [
        cue["name"],
        f"{cue['evidence_share']:.1%}",
        percent(cue["inside"]),
        percent(cue["leads_wrong"]),
        f"{cue['purity']:.2f}",
        StyledText("yes", "worse") if cue["reasons"] else "",
    ]


def _group(
    cue: Mapping[str, Any],
    cues: Mapping[str, Any],
    pictures: Mapping[str, Sequence[Picture]],
) -> OutlinedImages:
    lines = [StyledText(_facts(cue, cues))]
    if reason := reason_in_words(cue, cues["error_rate"]):
        lines.append(StyledText(f"Deserves a look: {reason}.", "worse"))
    if cue["is_mixture"]:
        lines.append(StyledText("It mixes different things: split it before ticking.", "soft"))
    images = [_picture(one) for one in pictures.get(cue["name"], ())]
    return OutlinedImages(f"Cue {cue['name']}", lines, images)


def _facts(cue: Mapping[str, Any], cues: Mapping[str, Any]) -> str:
    parts = [
        f"{cue['evidence_share']:.1%} of the evidence, present in {cue['present_in']} of "
        f"{cues['images']} images"
    ]
    # What makes a cue suspicious follows in the next line.
    if cue["inside"] is not None and "outside" not in cue["reasons"]:
        parts.append(f"{cue['inside']:.0%} of it on the object")
    if cue["leads_wrong"] is not None and "errors" not in cue["reasons"]:
        parts.append(f"{cue['leads_wrong']:.0%} wrong in the {cue['leads_in']} where it leads")
    parts.append(f"purity {cue['purity']:.2f}")
    return "; ".join(parts) + "."


def _picture(picture: Picture) -> OutlinedImage:
    alt = f"{picture.name}: predicted {picture.predicted}"
    line = StyledText(picture.predicted, "soft")
    if picture.is_wrong:
        line = StyledText(f"{picture.predicted}, not {picture.label}", "worse")
    return OutlinedImage(
        EmbeddedImage(picture.image, alt, picture.is_small),
        picture.outline,
        picture.cells,
        [line],
        EmbeddedImage(picture.crop, f"Crop of {alt}", picture.is_small),
        picture.box,
    )
