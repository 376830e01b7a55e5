"""What the numbers of an evaluation mean, in plain sentences, each tied to its number."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ECE_THRESHOLD = 0.05
"""Expected calibration error from which on it is worth a sentence."""
DROP_THRESHOLD = 0.10
"""Accuracy lost to a corruption from which on it is worth a sentence."""
RECALL_GAP_THRESHOLD = 0.10
"""How far below the mean recall a class is worth a sentence."""
FEW_IMAGES = 100


@dataclass(frozen=True)
class Finding:
    """A sentence and the number that it stands on.

    Attributes:
        text: The sentence.
        metric: Where the number is in `metrics.json`, such as "calibration.ece" or
            "robustness.corruptions.noise[2]".
        value: The number.
    """

    text: str
    metric: str
    value: float

    @property
    def shown(self) -> str:
        """The number as it is shown."""
        return f"{self.value:.4g}"


def value_at(metrics: Mapping[str, Any], path: str) -> Any:
    """What stands at a path of `metrics.json`.

    Raises:
        KeyError, IndexError: There is no such number.
    """
    found: Any = metrics
    for name, number in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
        found = found[name] if name else found[int(number)]
    return found


def derive_findings(metrics: Mapping[str, Any]) -> list[Finding]:
    """The findings, what matters most first.

    Args:
        metrics: The content of `metrics.json`, without its findings.
    """
    rules = (_accuracy, _confusion, _weak_class, _heat, _heat_and_mistakes, _blank, _faithfulness)
    return [
        Finding(text, path, float(value_at(metrics, path)))
        for rule in (*rules, _calibration, _robustness)
        for text, path in rule(metrics)
    ]


Sentences = Iterator[tuple[str, str]]
"""Sentences, each with the path of its number."""


def _accuracy(metrics: Mapping[str, Any]) -> Sentences:
    scores = metrics["classification"]
    low, high = scores["intervals"]["accuracy"]
    images = scores["examples"]
    few = " These are few images: the interval is wide." if images < FEW_IMAGES else ""
    yield (
        f"{scores['accuracy']:.1%} of {images} images are answered right (95 % interval "
        f"{low:.1%} to {high:.1%}).{few}",
        "classification.accuracy",
    )


def _confusion(metrics: Mapping[str, Any]) -> Sentences:
    pairs = metrics["mistakes"]["confused_pairs"]
    if pairs:
        first = pairs[0]
        of_class = round(first["images"] / first["share"])
        yield (
            f"The most frequent error: '{first['true']}' is taken for '{first['predicted']}', in "
            f"{first['images']} of its {of_class} images.",
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
            f"are found, of all classes {scores['macro_recall']:.0%} on average.",
            f"classification.per_class[{place}].recall",
        )


def _heat(metrics: Mapping[str, Any]) -> Sentences:
    heat = (metrics.get("heatmaps") or {}).get("objects")
    if heat is None:
        return
    low, high = heat["mass_inside_over_area"]["interval"]
    gain = heat["mass_inside_over_area"]["value"]
    if low > 0:
        verdict = "more than if it were spread evenly: the network looks at the object"
    elif high < 0:
        verdict = "less than if it were spread evenly: the network looks past the object"
    else:
        verdict = "no more, and no less, than if it were spread evenly, as far as these images tell"
    yield (
        f"{heat['mass_inside']['mean']:.0%} of the heat lies on the object, which takes "
        f"{heat['area']:.0%} of the image: {verdict} ({gain * 100:+.0f} points).",
        "heatmaps.objects.mass_inside_over_area.value",
    )
    low, high = heat["pointing_over_centre"]["interval"]
    blob, own = heat["pointing_game"]["centre"], heat["pointing_game"]["mean"]
    if high <= 0 or low <= 0 <= high:
        than = "less often than" if high < 0 else "no more often than"
        yield (
            f"The hottest point hits the object in {own:.0%} of the images, {than} a spot in the "
            f"middle of every image would ({blob:.0%}): objects are in the middle, and pointing "
            "there proves little.",
            "heatmaps.objects.pointing_over_centre.value",
        )


def _heat_and_mistakes(metrics: Mapping[str, Any]) -> Sentences:
    split = metrics["mistakes"].get("by_heat")
    if split is None or not (split["inside"]["images"] and split["outside"]["images"]):
        return
    low, high = split["interval"]
    if low > 0:
        yield (
            f"Where the heat avoids the object ({split['outside']['images']} images) "
            f"{split['outside']['accuracy']:.0%} are right, elsewhere "
            f"{split['inside']['accuracy']:.0%}: errors come with looking past the object.",
            "mistakes.by_heat.difference",
        )
    elif high < 0:
        yield (
            f"Where the heat avoids the object ({split['outside']['images']} images) "
            f"{split['outside']['accuracy']:.0%} are right, elsewhere only "
            f"{split['inside']['accuracy']:.0%}: what lies around the object helps to answer. On "
            "images without it, expect less.",
            "mistakes.by_heat.difference",
        )


def _blank(metrics: Mapping[str, Any]) -> Sentences:
    heat = metrics.get("heatmaps")
    if heat and heat["blank"]:
        yield (
            f"{heat['blank']} of {heat['images']} heatmaps are blank: the method "
            f"{heat['method']} finds nothing that speaks for the answer there.",
            "heatmaps.blank",
        )


def _faithfulness(metrics: Mapping[str, Any]) -> Sentences:
    faith = (metrics.get("heatmaps") or {}).get("faithfulness")
    if faith is None:
        return
    low, high = faith["deletion_under_random"]["interval"]
    if low <= 0:
        yield (
            "Blackening the hottest pixels first does not make the answer fade faster than "
            "blackening pixels at random (area under the curve "
            f"{faith['deletion']['mean']:.2f} against {faith['deletion']['random']:.2f}): do not "
            "read much into these heatmaps.",
            "heatmaps.faithfulness.deletion_under_random.value",
        )


def _calibration(metrics: Mapping[str, Any]) -> Sentences:
    calibration = metrics["calibration"]
    if calibration["ece"] < ECE_THRESHOLD:
        return
    gap = calibration["mean_confidence"] - metrics["classification"]["accuracy"]
    if abs(gap) < calibration["ece"] / 2:
        yield (
            "The network is too sure of some answers and not sure enough of others: its confidence "
            f"and the share that is right differ by {calibration['ece']:.0%} on average, and even "
            "out over all images.",
            "calibration.ece",
        )
        return
    how = "too sure" if gap > 0 else "not sure enough"
    yield (
        f"The network is {how}: it gives its answers {calibration['mean_confidence']:.0%} on "
        f"average, and {metrics['classification']['accuracy']:.0%} are right.",
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
            f"It is most sensitive to {worst.replace('_', ' ')}: at severity {severity} "
            f"{last[worst]:.0%} are right instead of {clean:.0%}.",
            f"robustness.corruptions.{worst}[{severity - 1}]",
        )
