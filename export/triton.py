"""Model repositories for NVIDIA Triton Inference Server."""

from __future__ import annotations

import json
import reprlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import onnx

from export.source import model_name
from export.triton_config import Tensor, check_fits
from proxy_keras.io.atomic_files import write_atomically, write_text_atomically

CONFIG = "config.pbtxt"
MAX_BATCH_SIZE = 32
MAX_QUEUE_DELAY_US = 5000

_LABELS = "labels.txt"
_TYPES: dict[int, str] = {onnx.TensorProto.UINT8: "TYPE_UINT8", onnx.TensorProto.FLOAT: "TYPE_FP32"}


def write_model_repository(file: Path, folder: Path, *, name: str | None = None) -> Path:
    """Add an exported file to a model repository, as the next version of its model.

    Requests are batched dynamically: up to 32 images that arrive within 5 ms. An existing
    configuration is kept as it is, with its `version_policy` and other changes.

    Args:
        file: An ONNX file that `export_model` wrote.
        folder: The repository. NAME/config.pbtxt, NAME/labels.txt and NAME/VERSION/model.onnx are
            written; existing versions are kept.
        name: The model's name in the repository; None: that of the file.

    Returns:
        The folder of the new version.

    Raises:
        ValueError: The model of this name in the repository has other labels, inputs or outputs.
    """
    model: onnx.ModelProto = onnx.load(file)
    card: dict[str, str] = {item.key: item.value for item in model.metadata_props}
    name = deployed_name(file, name)
    home = folder / name
    check_labels(folder, name, json.loads(card["labels"]))
    config = home / CONFIG
    if config.exists():
        check_fits(config, _tensors(model))
    home.mkdir(parents=True, exist_ok=True)
    taken = [int(path.name) for path in home.iterdir() if path.name.isdigit()]
    version: Path = home / str(max(taken, default=0) + 1)
    write_text_atomically(home / _LABELS, "\n".join(json.loads(card["labels"])) + "\n")
    if not config.exists():
        write_text_atomically(config, _config(model, name))

    def write(aside: Path) -> None:
        aside.mkdir()
        shutil.copyfile(file, aside / "model.onnx")

    write_atomically(version, write)
    return version


def deployed_name(file: Path, name: str | None) -> str:
    """Return the name under which an exported file is deployed: the given one, or the file's.

    The network's own name would be the same for all models of one architecture.
    """
    return model_name(name or file.stem)


def check_labels(folder: Path, name: str, labels: Sequence[str]) -> None:
    """Check that a repository has no model of this name with other labels.

    Args:
        folder: The repository, which may not exist.
        name: The name of a model.
        labels: Its class names by class id.

    Raises:
        ValueError: It has other labels.
    """
    file = folder / name / _LABELS
    if not file.exists():
        return
    present = file.read_text(encoding="utf-8").splitlines()
    if present != list(labels):
        raise ValueError(
            f"{file} has other class names than this model: {reprlib.repr(present)}. Received: "
            f"{reprlib.repr(list(labels))}. To add it as another model: --name NAME"
        )


def _tensors(model: onnx.ModelProto) -> dict[str, Tensor]:
    """Return the inputs and outputs, by name."""
    kinds = (("input", model.graph.input), ("output", model.graph.output))
    return {item.name: _described(kind, item) for kind, items in kinds for item in items}


def _described(kind: str, item: onnx.ValueInfoProto) -> Tensor:
    tensor = item.type.tensor_type
    # Triton wants at least one axis beside that of the batch.
    dims = tuple(axis.dim_value for axis in tensor.shape.dim[1:]) or (1,)
    return Tensor(kind, _TYPES[tensor.elem_type], dims)


def _config(model: onnx.ModelProto, name: str) -> str:
    """Return the model configuration as protobuf text."""
    lines = [
        f"name: {json.dumps(name)}",
        'backend: "onnxruntime"',
        f"max_batch_size: {MAX_BATCH_SIZE}",
        *(_tensor("input", item) for item in model.graph.input),
        *(
            _tensor("output", item, labels=item.name == "probabilities")
            for item in model.graph.output
        ),
        f"dynamic_batching {{ max_queue_delay_microseconds: {MAX_QUEUE_DELAY_US} }}",
        "instance_group [ { kind: KIND_AUTO } ]",
    ]
    return "\n".join(lines) + "\n"


def _tensor(kind: str, item: onnx.ValueInfoProto, *, labels: bool = False) -> str:
    """Return the entry of an input or output, without the batch axis that Triton adds."""
    described = _described(kind, item)
    more = f' label_filename: "{_LABELS}"' if labels else ""
    if len(item.type.tensor_type.shape.dim) == 1:
        # Triton removes the axis again.
        more = " reshape: { shape: [ ] }"
    return (
        f"{kind} [ {{ name: {json.dumps(item.name)} data_type: {described.data_type} "
        f"dims: [ {', '.join(map(str, described.dims))} ]{more} }} ]"
    )
