"""Schemas of requests and responses, used only for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

Probability = Annotated[float, Field(ge=0, le=1)]


class ErrorBody(BaseModel):
    """The reason why a request was refused or failed."""

    error: str


class PredictionBody(BaseModel):
    """A class and its probability."""

    class_name: Annotated[str, Field(alias="class")]
    class_id: Annotated[int, Field(ge=0)]
    probability: Probability


class HeatmapBody(BaseModel):
    """Heatmap of the first class, as a grid over the image."""

    shape: Annotated[list[int], Field(min_length=2, max_length=2, description="[h, w]")]
    values: Annotated[list[list[Probability]], Field(description="h rows of w values")]


class PredictBody(BaseModel):
    """The prediction for an image."""

    model: str
    predictions: Annotated[list[PredictionBody], Field(description="Most probable first.")]
    heatmap: Annotated[HeatmapBody | None, Field(description="With heatmap=true.")] = None
    cues: Annotated[
        dict[str, Probability] | None,
        Field(description="Share of the evidence on each cue, by name; models with cues."),
    ] = None
    ticked_share: Annotated[
        Probability | None, Field(description="Share on cues that are ticked as not the object.")
    ] = None
    marked: Annotated[
        bool | None, Field(description="With --max-ticked: whether ticked_share is above it.")
    ] = None


class CueBody(BaseModel):
    """A cue: one of the things that the network looks at."""

    name: str
    ticked: Annotated[bool, Field(description="Whether it is ticked as not the object.")]
    description: str


class ModelBody(BaseModel):
    """A model."""

    name: str
    network: str
    labels: list[str]
    image_size: Annotated[list[int], Field(min_length=2, max_length=2, description="[H, W]")]
    explain: Annotated[str, Field(description='Method of the heatmaps; "none" if there are none.')]
    target_layer: str | None
    precision: str
    device: str
    test_accuracy: Probability | None
    split_sha256: str | None
    versions: dict[str, str]
    cues: Annotated[list[CueBody] | None, Field(description="Of models with cues.")] = None


class ModelsBody(BaseModel):
    """The models; the first one is the default."""

    models: list[ModelBody]


class LiveBody(BaseModel):
    """Whether the server is running."""

    live: Literal[True]


class ReadyBody(BaseModel):
    """Whether the server accepts requests."""

    ready: bool


class ModelReadyBody(BaseModel):
    """Whether a model accepts requests."""

    name: str
    ready: bool


class ServerBody(BaseModel):
    """Server metadata of the Open Inference Protocol."""

    name: str
    version: str
    extensions: list[str]


class TensorBody(BaseModel):
    """An input or output of a model; -1 means any number of images."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadataBody(BaseModel):
    """Model metadata of the Open Inference Protocol."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorBody]
    outputs: list[TensorBody]


class IndexEntryBody(BaseModel):
    """An entry of the repository index."""

    name: str
    version: str
    state: Literal["READY"]
    reason: str


class OutputBody(TensorBody):
    """An output with its data; in binary form, `parameters` has the number of bytes instead."""

    parameters: dict[str, Any] | None = None
    data: list[Any] | None = None


class InferBody(BaseModel):
    """A response of the Open Inference Protocol."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputBody]


_OUTPUTS = ("logits", "probabilities", "heatmap", "cues", "ticked_share")
_BINARY: dict[str, Any] = {"type": "string", "format": "binary"}

IMAGE_REQUEST: dict[str, Any] = {
    "required": True,
    "description": "An image file (JPEG, PNG, WebP, GIF, BMP, TIFF, ...), as the body or in a "
    "form. With curl: --data-binary @cat.jpg, or -F file=@cat.jpg",
    "content": {
        "image/*": {"schema": _BINARY},
        "application/octet-stream": {"schema": _BINARY},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {"file": _BINARY},
                "required": ["file"],
            }
        },
    },
}

INFER_REQUEST: dict[str, Any] = {
    "required": True,
    "description": "JSON, or JSON followed by the tensor's bytes. In this case, the header "
    "Inference-Header-Content-Length is the length of the JSON part.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["inputs"],
                "properties": {
                    "id": {"type": "string"},
                    "parameters": {
                        "type": "object",
                        "properties": {"binary_data_output": {"type": "boolean"}},
                    },
                    "inputs": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 1,
                        "items": {
                            "type": "object",
                            "required": ["name", "shape", "datatype"],
                            "properties": {
                                "name": {"const": "image"},
                                "shape": {"type": "array", "items": {"type": "integer"}},
                                "datatype": {"enum": ["UINT8", "FP32"]},
                                "parameters": {"type": "object"},
                                "data": {"type": "array"},
                            },
                        },
                    },
                    "outputs": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["name"],
                            "properties": {
                                "name": {"enum": list(_OUTPUTS)},
                                "parameters": {
                                    "type": "object",
                                    "properties": {
                                        "binary_data": {"type": "boolean"},
                                        "classification": {"type": "integer", "minimum": 0},
                                    },
                                },
                            },
                        },
                    },
                },
            }
        },
        "application/octet-stream": {"schema": _BINARY},
    },
}

REASONS: dict[int, str] = {
    400: "The request is malformed.",
    401: "The API key is missing or wrong.",
    404: "The model does not exist.",
    408: "The body took too long to arrive.",
    413: "The body is too large.",
    415: "The type or the compression of the body is not supported.",
    421: "The host in the Host header is not allowed.",
    422: "The image cannot be read, a parameter is outside its range, or the model's output for it "
    "is NaN or infinite.",
    500: "The model failed.",
    503: "The server is overloaded or did not answer in time. Try again after Retry-After.",
}


MODEL_ERRORS = (400, 401, 404, 408, 413, 415, 421, 422, 500, 503)
"""Error statuses of the routes that run a model."""


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses for error statuses; by default those of access control."""
    return {
        status: {"model": ErrorBody, "description": REASONS[status]}
        for status in statuses or (401, 421)
    }
