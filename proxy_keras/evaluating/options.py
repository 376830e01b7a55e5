"""Options of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proxy_keras.settings.json_settings import require


@dataclass(frozen=True)
class EvaluationOptions:
    """Options of `python -m proxy_keras.evaluate`, without those of the data.

    Attributes:
        against: Another model to compare on the same images, or None.
        out: Folder of the report; None: next to the model.
        method: Attribution method; None: chosen by `explanation_method`.
        method_options: Options of the method.
        target_layer: Layer to explain; None: found automatically.
        heat_images: Number of images whose heatmaps are scored; 0: no heatmaps.
        masks: Folder of object masks; None: `masks` in the folder of the images, if it exists.
        boxes: File of object boxes; None: `boxes.csv` there, if it exists.
        corruptions: Whether to evaluate on corrupted images too.
        cues: Folder of cues whose ticked ones are measured; None: see `find_ticked`.
        no_cues: Whether to leave out the cues, also the ticked ones.
        labels: JSON file of the model's class names; None: the file next to the model.
        against_labels: The same for the other model.
        batch_size: Images per batch.
        seed: Seed of all draws.
        pdf: Whether to print the report as PDF too.
        quiet: Whether to hide progress bars.
    """

    against: Path | None = None
    out: Path | None = None
    method: str | None = None
    method_options: dict[str, Any] = field(default_factory=dict)
    target_layer: str | None = None
    heat_images: int = 200
    masks: Path | None = None
    boxes: Path | None = None
    corruptions: bool = True
    cues: Path | None = None
    no_cues: bool = False
    labels: Path | None = None
    against_labels: Path | None = None
    batch_size: int = 64
    seed: int = 0
    pdf: bool = False
    quiet: bool = False

    def __post_init__(self) -> None:
        require(
            self.against_labels is None or self.against is not None,
            "`against_labels` needs another model: give `--against` too.",
            str(self.against_labels),
        )
        require(
            self.cues is None or not self.no_cues,
            "`cues` are measured or left out, not both: leave out `--cues` or `--no-cues`.",
            str(self.cues),
        )
        require(self.heat_images >= 0, "`heat_images` must be >= 0.", self.heat_images)
        require(self.batch_size >= 1, "`batch_size` must be >= 1.", self.batch_size)
        require(self.seed >= 0, "`seed` must be >= 0.", self.seed)


def explanation_method(asked: str | None, trained_with: str | None) -> str:
    """Return the attribution method: one that training did not use, unless requested.

    Training changes the heatmaps of its own method, so another method is stronger evidence.

    Args:
        asked: The requested method, or None.
        trained_with: The method that made the proxies during training, or None.
    """
    if asked is not None:
        return asked
    return "layer_cam" if trained_with == "grad_cam" else "grad_cam"
