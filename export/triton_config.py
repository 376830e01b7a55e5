"""Comparison of an existing Triton model configuration with a model to add under its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from export.protobuf_text import Message, parse_protobuf_text

_ANY_SIZE = -1
_KINDS = ("input", "output")


@dataclass(frozen=True)
class Tensor:
    """An input or output in a model configuration.

    Attributes:
        kind: "input" or "output".
        data_type: Such as "TYPE_FP32".
        dims: Sizes without the axis of the batch.
    """

    kind: str
    data_type: str
    dims: tuple[int, ...]


def check_fits(config: Path, tensors: Mapping[str, Tensor]) -> None:
    """Check that a configuration describes a model.

    Args:
        config: The file `config.pbtxt`. It may leave tensors out, or leave sizes open with -1.
        tensors: Inputs and outputs of the model, by name.

    Raises:
        ValueError: It is damaged, or describes another model.
    """
    try:
        message = parse_protobuf_text(config.read_text(encoding="utf-8"))
        found = [(kind, *_named(kind, value)) for kind, value in message if kind in _KINDS]
        # Triton adds the axis of the batch only to models that it may batch.
        is_batched = any(
            int(v) > 0 for k, v in message if k == "max_batch_size" and isinstance(v, str)
        )
    except ValueError as error:
        raise ValueError(
            f"{config} is not a Triton model configuration: {error}. Correct or remove it."
        ) from error
    batch = () if is_batched else (_ANY_SIZE,)
    for kind, name, tensor in found:
        wanted = tensors.get(name)
        if wanted is None or not _is_alike(tensor, wanted, batch):
            raise ValueError(
                f"{config} describes another model: {kind} {name!r} of {tensor.data_type} "
                f"{list(tensor.dims)}. Received: {_text(wanted, batch)}. To add it as another "
                "model: --name NAME"
            )


def _named(kind: str, value: str | Message) -> tuple[str, Tensor]:
    """Return the name and description of an input or output.

    Raises:
        ValueError: It is not a message, or a size is not a number.
    """
    if isinstance(value, str):
        raise ValueError(f"{kind} is {value!r}")
    texts = [(field, content) for field, content in value if isinstance(content, str)]
    first = dict(reversed(texts))
    dims = tuple(int(content) for field, content in texts if field == "dims")
    return first.get("name", ""), Tensor(kind, first.get("data_type", ""), dims)


def _is_alike(found: Tensor, wanted: Tensor, batch: tuple[int, ...]) -> bool:
    dims = (*batch, *wanted.dims)
    return (
        (found.kind, found.data_type) == (wanted.kind, wanted.data_type)
        and len(found.dims) == len(dims)
        and all(a in (b, _ANY_SIZE) for a, b in zip(found.dims, dims, strict=True))
    )


def _text(tensor: Tensor | None, batch: tuple[int, ...]) -> str:
    if tensor is None:
        return "no tensor of this name"
    return f"{tensor.kind} of {tensor.data_type} {[*batch, *tensor.dims]}"
