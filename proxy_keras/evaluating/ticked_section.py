"""The section of a report on ticked cues: whether the model stopped looking at them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from proxy_keras.cues.pictures import outline
from proxy_keras.data.data_split import DataSplit
from proxy_keras.evaluating.cue_words import names_of
from proxy_keras.evaluating.found_cues import PICTURES_SHOWN, read_images
from proxy_keras.evaluating.report_parts import (
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
from proxy_keras.evaluating.ticked_evidence import TickedEvidence

TITLE = "Ticked cues"


def ticked_section(metrics: Mapping[str, Any], images: OutlinedImages | None) -> Section:
    """Build the section from `metrics.json`.

    Args:
        metrics: The content of `metrics.json`, with `ticked_cues`.
        images: Images with the ticked cues outlined; None: there are none.
    """
    ticked = metrics["ticked_cues"]
    if "reason" in ticked:
        return Section("ticked", TITLE, [Text(ticked["reason"])])
    is_same = ticked["change"] is None
    parts: list[Part] = [
        Text(
            f"{names_of(ticked['cues']).capitalize()} in {ticked['folder']} "
            f"{'is' if len(ticked['cues']) == 1 else 'are'} ticked: not the object. By the "
            f"network in which they were found, {ticked['images_with_cue']} of {ticked['images']} "
            "images show one. The table has the share of each network's evidence that lies in "
            "the same cells, its accuracy, and its accuracy on the images that show one, with 95% "
            "intervals."
        ),
        Text(_names(ticked, is_same)),
        _networks(ticked, is_same),
    ]
    if differences := _differences(ticked):
        parts.append(differences)
    if is_same and ticked["against"] is None:
        parts.append(
            Text(
                "The cues were found in this model. Train one without them (--cues) to compare.",
                is_soft=True,
            )
        )
    elif not is_same:
        parts.append(
            Text(
                "The cells are chosen where the network in which the cues were found has "
                "evidence, so another network may have less there even if it looks at the same "
                "things. To rule that out, compare with a plain run of another seed: --against.",
                is_soft=True,
            )
        )
    if images is not None:
        parts.append(OutlinedGroups([images]))
    return Section("ticked", TITLE, parts)


def draw_ticked(
    evidence: TickedEvidence, split: DataSplit, names: list[str]
) -> OutlinedImages | None:
    """Return the images with most evidence on ticked cues, outlined; None: no image has any.

    Args:
        evidence: The evidence on ticked cues.
        split: The images.
        names: Their names.
    """
    order = np.argsort(-evidence.before.shares, kind="stable")[:PICTURES_SHOWN]
    shown = [at for at in order.tolist() if evidence.has_region[at]]
    if not shown:
        return None
    pixels = read_images(split, [split.example_ids[at] for at in shown])
    rows, columns = evidence.regions.shape[1:]
    images = []
    for at in shown:
        image = EmbeddedImage.from_array(
            pixels[split.example_ids[at]], f"{names[at]}, ticked cues outlined"
        )
        lines = _captions(evidence, at)
        images.append(OutlinedImage(image, outline(evidence.regions[at]), (columns, rows), lines))
    line = "Images with the most evidence on ticked cues (outlined), and its share:"
    return OutlinedImages("", [StyledText(line)], images)


def _captions(evidence: TickedEvidence, at: int) -> list[StyledText]:
    networks = [("this", evidence.this)]
    if not evidence.is_same:
        networks.insert(0, ("before", evidence.before))
    if evidence.other is not None:
        networks.append(("other", evidence.other))
    return [
        StyledText(
            f"{label}: {one.shares[at]:.0%}, {'correct' if one.is_right[at] else 'wrong'}",
            "" if one.is_right[at] else "worse",
        )
        for label, one in networks
    ]


def _titles(is_same: bool) -> dict[str, str]:
    """Return how each network is called, without the one that is the evaluated one."""
    this = {"this": "this"} if is_same else {"found_in": "before", "this": "this"}
    return {**this, "other": "other"}


def _names(ticked: Mapping[str, Any], is_same: bool) -> str:
    networks = ticked["networks"]
    names = [
        f"{title.capitalize()}: "
        f"{'the network of the cues' if key == 'found_in' else networks[key]['name']}."
        for key, title in _titles(is_same).items()
        if key in networks
    ]
    return " ".join(names)


def _networks(ticked: Mapping[str, Any], is_same: bool) -> Table:
    rows = []
    for key, title in _titles(is_same).items():
        if key not in ticked["networks"]:
            continue
        one = ticked["networks"][key]
        with_cue = one["accuracy_with_cue"]
        rows.append(
            [
                title,
                _with_interval(one["share"]),
                _with_interval(one["accuracy"]),
                "-" if with_cue is None else f"{with_cue:.1%}",
            ]
        )
    rows.append(["spread evenly", f"{ticked['area']:.1%}", "", ""])
    header = ["network", "evidence", "accuracy", "accuracy with a cue"]
    return Table(header, rows, numeric=(1, 2, 3))


def _differences(ticked: Mapping[str, Any]) -> Table | None:
    rows: list[list[str | StyledText]] = []
    for key, than in (("change", "before"), ("against", "the other")):
        gap = ticked[key]
        if gap is None:
            continue
        for name, title, sign in (
            ("share", "evidence on ticked cues", -1),
            ("accuracy", "accuracy", 1),
        ):
            low, high = (end * sign for end in gap[name]["interval"])
            tone = "better" if min(low, high) > 0 else "worse" if max(low, high) < 0 else ""
            rows.append(
                [
                    f"{title}, this minus {than}",
                    StyledText(f"{gap[name]['value'] * 100:+.1f} points", tone),
                    " to ".join(f"{end * 100:+.1f}" for end in gap[name]["interval"]),
                ]
            )
    return Table(["difference", "value", "95% interval"], rows, numeric=(1, 2)) if rows else None


def _with_interval(score: Mapping[str, Any]) -> str:
    low, high = score["interval"]
    return f"{score['value']:.1%} ({low * 100:.1f} to {high * 100:.1f})"
