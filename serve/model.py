"""The model: logits, probabilities and heatmaps of images, from an exported ONNX file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serve.card import ModelCard
from serve.images import MAX_PIXELS, read_resized
from serve.session import ORT_ERRORS, Device, one_line, open_session

_DTYPES: dict[str, type[np.uint8] | type[np.float32]] = {
    "tensor(uint8)": np.uint8,
    "tensor(float)": np.float32,
}


@dataclass(frozen=True)
class Answers:
    """Outputs of a model for N images.

    Attributes:
        logits: [N, K] float32.
        probabilities: [N, K] float32 in [0, 1].
        heatmaps: [N, h, w] float32 in [0, 1], of the predicted class; None if the model has none.
        cues: [N, C] float32 in [0, 1], the share of the evidence for the predicted class on each
            cue of the card; None if the model has none.
        ticked_share: [N] float32 in [0, 1], the share on all ticked cues; None without cues.
    """

    logits: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    heatmaps: NDArray[np.float32] | None
    cues: NDArray[np.float32] | None = None
    ticked_share: NDArray[np.float32] | None = None

    def rows(self, start: int, stop: int) -> Answers:
        """Return the answers for the images from `start` to before `stop`."""
        return Answers(
            self.logits[start:stop],
            self.probabilities[start:stop],
            None if self.heatmaps is None else self.heatmaps[start:stop],
            None if self.cues is None else self.cues[start:stop],
            None if self.ticked_share is None else self.ticked_share[start:stop],
        )


class Model:
    """An ONNX model, ready to run. Thread-safe.

    Args:
        path: File written by `python -m export`.
        device: "cuda", "cpu", or "auto": CUDA if it works, else the CPU.
        threads: CPU threads per run; None: one per physical core that the process may use.

    Attributes:
        path: The file.
        card: The file's metadata.
        device: Device of the session, "cpu" or "cuda".
        device_note: One line about the device; for "auto" without CUDA it gives the reason.
        input_dtype: dtype of the file's input, np.uint8 or np.float32.
        input_shape: (height, width, 3) of an image.
        map_shape: (h, w) of a heatmap; None if the model has none.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file was not written by export, its content does not match its metadata, or
            an argument is invalid.
        RuntimeError: "cuda" was requested but is not available, or the model cannot run on this
            device.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        device: Device = "auto",
        threads: int | None = None,
    ) -> None:
        self.path = Path(path)
        opened = open_session(path, device=device, threads=threads)
        self._session = opened.session
        self.device = opened.device
        self.device_note = opened.note
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.card = ModelCard.from_metadata(metadata, path=path)
        self.input_shape = (*self.card.image_size, 3)
        self.input_dtype = self._check_input()
        self._outputs = ["logits", "probabilities"] + ["heatmap"] * self.card.has_heatmap
        self._outputs += ["cues", "ticked_share"] if self.card.cues else []
        self._check_outputs()
        # Runs one blank image, to refuse a broken model here and to warm up the session.
        answers = self._run_session(np.zeros((1, *self.input_shape), self.input_dtype))
        self.map_shape = self._check_answers(answers)

    def run(self, images: NDArray[np.uint8] | NDArray[np.float32]) -> Answers:
        """Return the answers for a batch of images.

        Args:
            images: [N, H, W, 3] uint8 or float32 in [0, 255], of the model's image size; N may be
                0. A model with uint8 input takes uint8 only.

        Raises:
            ValueError: The shape or dtype is wrong.
            RuntimeError: ONNX Runtime failed, e.g. out of memory.
        """
        if images.ndim != 4 or images.shape[1:] != self.input_shape:
            raise ValueError(
                f"Images must have the shape [N, {', '.join(map(str, self.input_shape))}]. "
                f"Received: {list(images.shape)}"
            )
        if images.dtype != self.input_dtype and images.dtype != np.uint8:
            raise ValueError(
                f"The model takes {self._dtypes_taken()} images in [0, 255]. "
                f"Received: {images.dtype}"
            )
        if len(images) == 0:
            classes = np.zeros((0, len(self.card.labels)), np.float32)
            maps = None if self.map_shape is None else np.zeros((0, *self.map_shape), np.float32)
            if not self.card.cues:
                return Answers(classes, classes.copy(), maps)
            cues = np.zeros((0, len(self.card.cues)), np.float32)
            return Answers(classes, classes.copy(), maps, cues, np.zeros(0, np.float32))
        return self._run_session(images.astype(self.input_dtype, copy=False))

    def read(
        self, source: str | os.PathLike[str] | bytes, *, max_pixels: int = MAX_PIXELS
    ) -> NDArray[np.uint8]:
        """Read an image, decoded and resized as in training.

        Args:
            source: A file's path, or its bytes.
            max_pixels: Larger images are refused before decoding.

        Returns:
            [H, W, 3] uint8.

        Raises:
            UnreadableImageError: It cannot be read as an image; `reason` says why.
            OSError: The file cannot be opened.
        """
        return read_resized(source, self.card.image_size, max_pixels=max_pixels)

    def _run_session(self, images: NDArray[Any]) -> Answers:
        try:
            outputs = self._session.run(self._outputs, {"image": images})
        except ORT_ERRORS as error:
            raise RuntimeError(
                f"ONNX Runtime failed on {len(images)} images by {self.path.name!r} "
                f"({self.device}): {one_line(error)}. If memory is short, use smaller batches."
            ) from error
        found = dict(zip(self._outputs, outputs, strict=True))
        return Answers(
            found["logits"],
            found["probabilities"],
            found.get("heatmap"),
            found.get("cues"),
            found.get("ticked_share"),
        )

    def _check_input(self) -> type[np.uint8] | type[np.float32]:
        inputs = self._session.get_inputs()
        height, width, channels = self.input_shape
        expected = f"one input image [N, {height}, {width}, {channels}] of uint8 or float32"
        if len(inputs) != 1 or inputs[0].name != "image" or inputs[0].type not in _DTYPES:
            raise self._differs(expected, ", ".join(_describe(one) for one in inputs))
        shape = inputs[0].shape
        fixed_batch = len(shape) == 4 and isinstance(shape[0], int)
        # Dimensions that are not numbers are free; the card has the image size.
        sizes = zip(shape[1:], self.input_shape, strict=False)
        is_other = any(isinstance(found, int) and found != size for found, size in sizes)
        if len(shape) != 4 or fixed_batch or is_other:
            raise self._differs(expected, _describe(inputs[0]))
        return _DTYPES[inputs[0].type]

    def _check_outputs(self) -> None:
        found = [output.name for output in self._session.get_outputs()]
        if set(found) != set(self._outputs):
            raise self._differs(f"the outputs {', '.join(self._outputs)}", ", ".join(found))

    def _check_answers(self, answers: Answers) -> tuple[int, int] | None:
        """Check the shapes of an answer, and return (h, w) of its heatmap, if any."""
        classes = (1, len(self.card.labels))
        expected: dict[str, tuple[int, ...]] = {"logits": classes, "probabilities": classes}
        if self.card.cues:
            expected |= {"cues": (1, len(self.card.cues)), "ticked_share": (1,)}
        for name, shape in expected.items():
            found = getattr(answers, name)
            if found.shape != shape or found.dtype != np.float32:
                what = " (one per cue)" if name == "cues" else " (one per label)"
                raise self._differs(
                    f"{name} {list(shape)} of float32{what * (len(shape) > 1)} for one image",
                    f"{list(found.shape)} of {found.dtype}",
                )
        maps = answers.heatmaps
        if maps is None:
            return None
        if maps.ndim != 3 or maps.shape[0] != 1 or maps.size == 0 or maps.dtype != np.float32:
            raise self._differs(
                "a heatmap [1, h, w] of float32 for one image",
                f"{list(maps.shape)} of {maps.dtype}",
            )
        return maps.shape[1], maps.shape[2]

    def _differs(self, expected: str, found: str) -> ValueError:
        return ValueError(
            f"{str(self.path)!r} does not match its metadata: expected {expected}, found "
            f"{found}. Export the model again."
        )

    def _dtypes_taken(self) -> str:
        return "uint8" if self.input_dtype is np.uint8 else "uint8 or float32"


def _describe(argument: Any) -> str:
    return f"{argument.name} {argument.shape} of {argument.type}"
