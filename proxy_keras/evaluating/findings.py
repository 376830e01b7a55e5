"""Findings of an evaluation: plain sentences, each linked to a number in `metrics.json`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from proxy_keras.data.groups import SMALL_GROUP
from proxy_keras.evaluating.cue_words import names_of, reason_in_words

ECE_THRESHOLD = 0.05
"""Smallest expected calibration error that is reported."""
DROP_THRESHOLD = 0.10
"""Smallest loss of accuracy to a corruption that is reported."""
RECALL_GAP_THRESHOLD = 0.10
"""Smallest gap between the recall of a class and the mean recall that is reported."""
FEW_IMAGES = 100


@dataclass(frozen=True)
class Finding:
    """A sentence and the number behind it.

    Attributes:
        text: The sentence.
        metric: Path of the number in `metrics.json`, such as "calibration.ece" or
            "robustness.corruptions.noise[2]".
        value: The number.
    """

    text: str
    metric: str
    value: float

    @property
    def formatted_value(self) -> str:
        """The number as text with four significant digits."""
        return f"{self.value:.4g}"


def value_at(metrics: Mapping[str, Any], path: str) -> Any:
    """Return the value at a path of `metrics.json`.

    Raises:
        KeyError, IndexError: The path does not exist.
    """
    found: Any = metrics
    for name, number in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
        found = found[name] if name else found[int(number)]
    return found


def derive_findings(metrics: Mapping[str, Any]) -> list[Finding]:
    """Return the findings, most important first.

    Args:
        metrics: The content of `metrics.json`, without its findings.
    """
    return [
        Finding(text, path, float(value_at(metrics, path)))
        for rule in RULES
        for text, path in rule(metrics)
    ]


Sentences = Iterator[tuple[str, str]]
"""Pairs of a sentence and the path of its number."""


def _accuracy(metrics: Mapping[str, Any]) -> Sentences:
    scores = metrics["classification"]
    low, high = scores["intervals"]["accuracy"]
    images = scores["examples"]
    few = " The interval is wide because there are few images." if images < FEW_IMAGES else ""
    yield (
        f"{scores['accuracy']:.1%} of {images} images are classified correctly (95% interval "
        f"{low:.1%} to {high:.1%}).{few}",
        "classification.accuracy",
    )


def _groups(metrics: Mapping[str, Any]) -> Sentences:
    groups = metrics.get("groups")
    if groups is None:
        return
    rows = [row for row in groups["per_group"] if row["images"]]
    if len(rows) > 1:
        images = next(row["images"] for row in rows if row["group"] == groups["worst_group"])
        low, high = groups["worst_group_interval"]
        yield (
            f"The worst of {len(rows)} groups is '{groups['worst_group']}': "
            f"{groups['worst_group_accuracy']:.1%} of its {images} images are classified correctly "
            f"(95% interval of the worst-group accuracy {low:.1%} to {high:.1%}).",
            "groups.worst_group_accuracy",
        )
    for place, row in enumerate(groups["per_group"]):
        if row["group"] in groups["small_groups"]:
            yield (
                f"The accuracy of the group '{row['group']}' is imprecise: it has "
                f"{row['images']} images, fewer than {SMALL_GROUP}.",
                f"groups.per_group[{place}].images",
            )


def _ticked(metrics: Mapping[str, Any]) -> Sentences:
    ticked = metrics.get("ticked_cues") or {}
    if "networks" not in ticked:
        return
    this, before = ticked["networks"]["this"], ticked["networks"]["found_in"]
    if ticked["change"] is None:
        yield (
            f"{this['share']['value']:.0%} of the evidence lies on the ticked cues, which cover "
            f"{ticked['area']:.0%} of the image on average.",
            "ticked_cues.networks.this.share.value",
        )
    else:
        low, high = ticked["change"]["share"]["interval"]
        if high < 0:
            verdict = "The model looks at them less."
        elif low > 0:
            verdict = "The model looks at them more."
        else:
            verdict = "This is no significant difference."
        yield (
            f"{this['share']['value']:.0%} of the evidence lies on the ticked cues, compared with "
            f"{before['share']['value']:.0%} in the network in which they were found (accuracy "
            f"{this['accuracy']['value']:.0%} and {before['accuracy']['value']:.0%}). {verdict}",
            "ticked_cues.change.share.value",
        )
    if ticked["against"] is not None:
        other, gap = ticked["networks"]["other"], ticked["against"]["share"]
        low, high = gap["interval"]
        yield (
            f"In the other model, {other['share']['value']:.0%} of the evidence lies on the ticked "
            f"cues: this minus other is {gap['value'] * 100:+.1f} points (95% interval "
            f"{low * 100:+.1f} to {high * 100:+.1f}).",
            "ticked_cues.against.share.value",
        )


def _cues(metrics: Mapping[str, Any]) -> Sentences:
    cues = metrics.get("cues") or {}
    suspicious = [cue for cue in cues.get("found", ()) if cue["reasons"]]
    if suspicious:
        first = suspicious[0]
        verb = "deserves" if len(suspicious) == 1 else "deserve"
        yield (
            f"Of the {len(cues['found'])} cues that the model looks at, "
            f"{names_of(cues['suspicious'])} {verb} a look ({cues['suspicious_share']:.0%} of the "
            f"evidence). Cue {first['name']}: {reason_in_words(first, cues['error_rate'])}. See "
            "'What it looks at'.",
            "cues.suspicious_share",
        )


def _confusion(metrics: Mapping[str, Any]) -> Sentences:
    pairs = metrics["mistakes"]["confused_pairs"]
    if pairs:
        first = pairs[0]
        of_class = round(first["images"] / first["share"])
        yield (
            f"The most frequent error: '{first['true']}' is classified as '{first['predicted']}' "
            f"in {first['images']} of its {of_class} images.",
            "mistakes.confused_pairs[0].images",
        )


def _weak_class(metrics: Mapping[str, Any]) -> Sentences:
    scores = metrics["classification"]
    present = [
        (row["recall"], place) for place, row in enumerate(scores["per_class"]) if row["images"]
    ]
    recall, place = min(present)
    if scores["macro_recall"] - recall >= RECALL_GAP_THRESHOLD:
        row = scores["per_class"][place]
        yield (
            f"The weakest class is '{row['class']}': {recall:.0%} of its {row['images']} images "
            f"are classified correctly, compared with {scores['macro_recall']:.0%} for the average "
            "class.",
            f"classification.per_class[{place}].recall",
        )


def _heat(metrics: Mapping[str, Any]) -> Sentences:
    heat = (metrics.get("heatmaps") or {}).get("objects")
    if heat is None:
        return
    low, high = heat["mass_inside_over_area"]["interval"]
    gain = heat["mass_inside_over_area"]["value"]
    if low > 0:
        verdict = "The model looks at the object."
    elif high < 0:
        verdict = "The model looks at the background."
    else:
        verdict = "This is not significantly different from uniform heat."
    yield (
        f"{heat['mass_inside']['mean']:.0%} of the heat lies on the object, which covers "
        f"{heat['area']:.0%} of the image ({gain * 100:+.0f} points). {verdict}",
        "heatmaps.objects.mass_inside_over_area.value",
    )
    low, high = heat["pointing_over_centre"]["interval"]
    centre, own = heat["pointing_game"]["centre"], heat["pointing_game"]["mean"]
    if low <= 0:
        than = "less often than" if high < 0 else "no more often than"
        yield (
            f"The hottest point hits the object in {own:.0%} of the images, {than} the image "
            f"centre does ({centre:.0%}). The objects are near the centre, so hits there prove "
            "little.",
            "heatmaps.objects.pointing_over_centre.value",
        )


def _heat_and_mistakes(metrics: Mapping[str, Any]) -> Sentences:
    split = metrics["mistakes"].get("by_heat")
    if split is None or not (split["inside"]["images"] and split["outside"]["images"]):
        return
    low, high = split["interval"]
    if low > 0:
        yield (
            f"Where the heat is off the object ({split['outside']['images']} images), accuracy is "
            f"{split['outside']['accuracy']:.0%}; elsewhere it is "
            f"{split['inside']['accuracy']:.0%}. Errors go together with looking at the "
            "background.",
            "mistakes.by_heat.difference",
        )
    elif high < 0:
        yield (
            f"Where the heat is off the object ({split['outside']['images']} images), accuracy is "
            f"{split['outside']['accuracy']:.0%}; elsewhere it is only "
            f"{split['inside']['accuracy']:.0%}. The background helps the model; expect a lower "
            "accuracy on other backgrounds.",
            "mistakes.by_heat.difference",
        )


def _blank(metrics: Mapping[str, Any]) -> Sentences:
    heat = metrics.get("heatmaps")
    if heat and heat["blank"]:
        yield (
            f"{heat['blank']} of {heat['images']} heatmaps {'is' if heat['blank'] == 1 else 'are'} "
            f"blank: {heat['method']} finds no evidence for the predicted class.",
            "heatmaps.blank",
        )


def _faithfulness(metrics: Mapping[str, Any]) -> Sentences:
    faith = (metrics.get("heatmaps") or {}).get("faithfulness")
    if faith is None:
        return
    low, high = faith["deletion_under_random"]["interval"]
    if low <= 0:
        yield (
            "Deleting the hottest pixels first does not lower the predicted probability faster "
            "than deleting random pixels (area under the curve "
            f"{faith['deletion']['mean']:.2f} against {faith['deletion']['random']:.2f}). Do not "
            "rely on these heatmaps.",
            "heatmaps.faithfulness.deletion_under_random.value",
        )


def _calibration(metrics: Mapping[str, Any]) -> Sentences:
    calibration = metrics["calibration"]
    if calibration["ece"] < ECE_THRESHOLD:
        return
    gap = calibration["mean_confidence"] - metrics["classification"]["accuracy"]
    if abs(gap) < calibration["ece"] / 2:
        yield (
            "The model is overconfident on some images and underconfident on others: confidence "
            f"and accuracy differ by {calibration['ece']:.0%} on average, but cancel out over all "
            "images.",
            "calibration.ece",
        )
        return
    how = "overconfident" if gap > 0 else "underconfident"
    yield (
        f"The model is {how}: its mean confidence is {calibration['mean_confidence']:.0%}, its "
        f"accuracy {metrics['classification']['accuracy']:.0%}.",
        "calibration.mean_confidence",
    )


def _robustness(metrics: Mapping[str, Any]) -> Sentences:
    robustness = metrics.get("robustness")
    if robustness is None:
        return
    clean = metrics["classification"]["accuracy"]
    last = {name: values[-1] for name, values in robustness["corruptions"].items()}
    worst = min(last, key=lambda name: last[name])
    severity = len(robustness["corruptions"][worst])
    if clean - last[worst] >= DROP_THRESHOLD:
        yield (
            f"The model is most sensitive to {worst.replace('_', ' ')}: at severity {severity}, "
            f"accuracy drops from {clean:.0%} to {last[worst]:.0%}.",
            f"robustness.corruptions.{worst}[{severity - 1}]",
        )


RULES = (
    _accuracy,
    _groups,
    _ticked,
    _cues,
    _confusion,
    _weak_class,
    _heat,
    _heat_and_mistakes,
    _blank,
    _faithfulness,
    _calibration,
    _robustness,
)
"""The rules, most important first."""
