"""A model in the Open Inference Protocol: names, datatypes, shapes, and metadata."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from typing import Literal

INPUT_NAME = "image"
MODEL_VERSION = "1"
EXTENSIONS = ("binary_tensor_data", "classification")

Datatype = Literal["UINT8", "FP32"]
JsonObject = dict[str, object]


class ProtocolError(ValueError):
    """A request that violates the protocol.

    Attributes:
        status: HTTP status of the response, 400 to 499.
    """

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class ModelSpec:
    """Specification of a model's input and outputs.

    Attributes:
        name: Name of the model on the server.
        datatype: Datatype of the input `image`.
        image_size: (height, width) of the input.
        labels: [K] class names by class id.
        map_shape: (h, w) of a heatmap; None without heatmaps.
        num_cues: Number of cues; 0 without cues.
    """

    name: str
    datatype: Datatype
    image_size: tuple[int, int]
    labels: tuple[str, ...]
    map_shape: tuple[int, int] | None
    num_cues: int = 0

    @property
    def row_shape(self) -> tuple[int, int, int]:
        """The shape of one image, (H, W, 3)."""
        return (*self.image_size, 3)

    @property
    def outputs(self) -> dict[str, tuple[int, ...]]:
        """The shape of one row of each output, by name."""
        shapes: dict[str, tuple[int, ...]] = {
            "logits": (len(self.labels),),
            "probabilities": (len(self.labels),),
        }
        if self.map_shape is not None:
            shapes["heatmap"] = self.map_shape
        if self.num_cues:
            shapes |= {"cues": (self.num_cues,), "ticked_share": ()}
        return shapes


def server_metadata(name: str, version: str) -> JsonObject:
    """Return the response to `GET /v2`."""
    return {"name": name, "version": version, "extensions": list(EXTENSIONS)}


def model_metadata(spec: ModelSpec) -> JsonObject:
    """Return the response to `GET /v2/models/{name}`; -1 means any number of rows.

    Source: KServe, Open Inference Protocol (V2), "Model Metadata" and "Platforms".
    """
    return {
        "name": spec.name,
        "versions": [MODEL_VERSION],
        "platform": "onnx_onnxv1",
        "inputs": [{"name": INPUT_NAME, "datatype": spec.datatype, "shape": [-1, *spec.row_shape]}],
        "outputs": [
            {"name": name, "datatype": "FP32", "shape": [-1, *shape]}
            for name, shape in spec.outputs.items()
        ],
    }


def shown(value: object) -> str:
    """Format a client's value for an error message: printable and short."""
    return reprlib.repr(value)
