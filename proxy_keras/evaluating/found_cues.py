"""The cues of an evaluated model in the evaluated images, and which of them deserve a look."""

from __future__ import annotations

import copy
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy_keras.cues.cues import Cues
from proxy_keras.cues.facts import CueFacts
from proxy_keras.cues.find import find_cues
from proxy_keras.cues.pictures import Picture, draw_pictures
from proxy_keras.data.data_split import DataSplit
from proxy_keras.evaluating.evaluated_model import EvaluatedModel
from proxy_keras.evaluating.options import EvaluationOptions
from proxy_keras.evaluating.proportions import difference_interval
from proxy_keras.objects.object_masks import ObjectMasks

FEWEST_JUDGED = 5
"""Images, with a known object or in which a cue leads, from which it is judged by them."""

SMALLEST_SHARE = 0.02
"""Share of the evidence from which a cue can deserve a look because of its place."""
OUTSIDE_THRESHOLD = 0.35
"""Share of its evidence on the object below which a cue deserves a look."""
ERROR_GAP_THRESHOLD = 0.10
"""Smallest excess of errors where a cue leads that is reported."""
SAME_PLACE = 0.5
"""Position (see `CueFacts`) from which a cue counts as always being in the same place."""
FEWEST_PLACED = 20
"""Images in which a cue must be present to be judged by its place. In a few images, any cue is in
few places."""
PICTURES_SHOWN = 6


@dataclass(frozen=True)
class FoundCues:
    """The cues that were found, or why there are none.

    Attributes:
        cues: The cues, most suspicious first; None: they could not be found.
        reason: Why they could not be found; "": they were.
    """

    cues: Cues | None
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return `cues` of `metrics.json`."""
        cues = self.cues
        if cues is None:
            return {"reason": self.reason}
        wrong = cues.images.is_wrong
        found = [_cue_dict(cues.facts(name), int(wrong.sum()), len(wrong)) for name in cues.shown]
        suspicious = [cue for cue in found if cue["reasons"]]
        return {
            "target_layer": cues.target_layer,
            "images": len(cues.images),
            "images_with_known_object": int(cues.images.has_object.sum()),
            "error_rate": float(wrong.mean()),
            "suspicious": [cue["name"] for cue in suspicious],
            "suspicious_share": _share(sum(cue["evidence_share"] for cue in suspicious)),
            "found": found,
        }

    def pictures(self, split: DataSplit, image_names: list[str], seed: int) -> dict[str, Any]:
        """Return up to `PICTURES_SHOWN` pictures of each cue by its name.

        Half of them are the nearest to its centre, the others are drawn among those that show it.

        Args:
            split: The images.
            image_names: Their names.
            seed: Keys the draw.
        """
        if self.cues is None:
            return {}
        names = dict(zip(split.example_ids, image_names, strict=True))
        drawn = draw_pictures(
            self.cues,
            self.cues.shown,
            lambda ids: read_images(split, ids),
            lambda name: names[name],
            seed=seed,
        )
        return {name: _some(pictures) for name, pictures in drawn.items()}


def find_evaluated_cues(
    model: EvaluatedModel,
    split: DataSplit,
    objects: ObjectMasks | None,
    options: EvaluationOptions,
) -> FoundCues:
    """Find the cues of a model in the evaluated images.

    Args:
        model: The model.
        split: The images.
        objects: Masks of the objects; None if unknown.
        options: The options of the evaluation.

    Raises:
        ValueError: The requested target layer cannot be used.
        MissingExtra: scikit-learn is not installed.
    """
    try:
        cues = find_cues(
            model.keras_model,
            with_class_ids(split, model),
            target_layer=options.target_layer,
            objects=objects,
            batch_size=options.batch_size,
            seed=options.seed,
            verbose=0 if options.quiet else 1,
        )
    except (ValueError, FloatingPointError) as error:
        # The user named this layer, so the user can name another.
        if options.target_layer is not None:
            raise
        # The option for the layer has another name in this command.
        return FoundCues(None, str(error).replace("--layer", "--target-layer"))
    return FoundCues(cues)


def with_class_ids(split: DataSplit, model: EvaluatedModel) -> DataSplit:
    """Return the split with the classes of the model, which may be in another order."""
    renamed = copy.copy(split)
    renamed.labels = model.class_ids(split).astype(np.int32)
    renamed.classes = list(model.classes)
    return renamed


def read_images(split: DataSplit, example_ids: list[str]) -> dict[str, NDArray[np.uint8]]:
    """Return images [P, P, 3] of a split by id."""
    place_of = {name: at for at, name in enumerate(split.example_ids)}
    places = np.array([place_of[name] for name in example_ids], np.int64)
    found: dict[str, NDArray[np.uint8]] = {}
    for positions, images, _ in split.originals(64, places).as_numpy_iterator():
        for at, image in zip(positions.tolist(), images, strict=True):
            found[split.example_ids[at]] = image.astype(np.uint8)
    return found


def cue_command(model: Path, source: str | None) -> str:
    """Return the command that serves the page on which the cues of a model are ticked.

    Args:
        model: The run folder or file.
        source: The images, if the model does not come with its own.
    """
    words = [str(model), *([] if source is None else ["--data", source]), "--page"]
    return f"python -m proxy_keras.cues {shlex.join(words)}"


def reasons_to_look(facts: CueFacts, errors: int, images: int) -> list[str]:
    """Return why a person should look at a cue: "outside", "errors", "position".

    Args:
        facts: The facts about the cue.
        errors: Number of misclassified images.
        images: Number of images, all with a known label.
    """
    reasons = []
    is_large = facts.evidence_share >= SMALLEST_SHARE
    is_known = facts.inside is not None and facts.inside_images >= FEWEST_JUDGED
    if is_large and is_known and (facts.inside or 0.0) < OUTSIDE_THRESHOLD:
        reasons.append("outside")
    if _leads_to_errors(facts, errors, images):
        reasons.append("errors")
    if is_large and facts.present_in >= FEWEST_PLACED and facts.position >= SAME_PLACE:
        reasons.append("position")
    return reasons


def _leads_to_errors(facts: CueFacts, errors: int, images: int) -> bool:
    """Return whether the model is wrong more often where the cue leads than elsewhere."""
    leads, elsewhere = facts.leads_in, images - facts.leads_in
    if facts.leads_wrong is None or leads < FEWEST_JUDGED or not elsewhere:
        return False
    wrong = round(facts.leads_wrong * leads)
    others = errors - wrong
    if wrong / leads - others / elsewhere < ERROR_GAP_THRESHOLD:
        return False
    low, _ = difference_interval(np.arange(leads) < wrong, np.arange(elsewhere) < others)
    return low > 0


def _cue_dict(facts: CueFacts, errors: int, images: int) -> dict[str, Any]:
    return {
        "name": facts.name,
        "evidence_share": _share(facts.evidence_share),
        "cell_share": _share(facts.cell_share),
        "present_in": facts.present_in,
        "leads_in": facts.leads_in,
        "leads_wrong": facts.leads_wrong,
        "inside": None if facts.inside is None else _share(facts.inside),
        "inside_images": facts.inside_images,
        "purity": _share(facts.purity),
        "is_mixture": facts.is_mixture,
        "position": _share(facts.position),
        "suspicion": facts.suspicion,
        "reasons": reasons_to_look(facts, errors, images),
    }


def _share(value: float) -> float:
    """Return a share without its rounding error beyond 0 or 1."""
    return min(max(float(value), 0.0), 1.0)


def _some(pictures: list[Picture]) -> list[Picture]:
    """Return up to `PICTURES_SHOWN` pictures, of both kinds alike if there are enough."""
    half = PICTURES_SHOWN // 2
    nearest = [one for one in pictures if one.is_nearest]
    drawn = [one for one in pictures if not one.is_nearest]
    kept = max(half, PICTURES_SHOWN - len(drawn))
    return [*nearest[:kept], *drawn][:PICTURES_SHOWN]
