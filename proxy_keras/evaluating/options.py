"""How a model is to be evaluated."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proxy_keras.settings.json_settings import require


@dataclass(frozen=True)
class EvaluationOptions:
    """What `python -m proxy_keras.evaluate` is told, but for the data.

    Attributes:
        against: Another model, which answers the same images; None: none.
        out: Folder of the report; None: beside the model.
        method: Attribution method; None: chosen by `explanation_method`.
        method_options: Options of the method.
        target_layer: Layer to explain; None: found.
        heat_images: Images whose heatmaps are scored; 0: no heatmaps are made.
        masks: Folder of masks of the objects; None: found beside the images, if there is one.
        boxes: File of boxes of the objects; None: found likewise.
        corruptions: Whether the images are also answered corrupted.
        labels: JSON file of the model's class names; None: those beside the model.
        against_labels: The same of the other model.
        batch_size: Images at a time.
        seed: Keys all draws.
        pdf: Whether the report is also printed as PDF.
        quiet: No progress bars.
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
    labels: Path | None = None
    against_labels: Path | None = None
    batch_size: int = 64
    seed: int = 0
    pdf: bool = False
    quiet: bool = False

    def __post_init__(self) -> None:
        require(
            self.against_labels is None or self.against is not None,
            "`against_labels` names the classes of another model: give `--against` too.",
            str(self.against_labels),
        )
        require(self.heat_images >= 0, "`heat_images` must be >= 0.", self.heat_images)
        require(self.batch_size >= 1, "`batch_size` must be >= 1.", self.batch_size)
        require(self.seed >= 0, "`seed` must be >= 0.", self.seed)


def explanation_method(asked: str | None, trained_with: str | None) -> str:
    """The method to look with: not the one that the training used, unless asked for.

    A network that was trained to have other heatmaps of one method may have merely learned to
    show them: another method tells more.

    Args:
        asked: The method that was asked for; None: none.
        trained_with: The method that made the proxies of the training; None: there were none.
    """
    if asked is not None:
        return asked
    return "layer_cam" if trained_with == "grad_cam" else "grad_cam"
