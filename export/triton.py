"""Model repositories for NVIDIA Triton Inference Server."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import onnx

from proxy_keras.io.atomic_files import write_atomically, write_text_atomically

MAX_BATCH_SIZE = 32
MAX_QUEUE_DELAY_US = 5000

_TYPES: dict[int, str] = {onnx.TensorProto.UINT8: "TYPE_UINT8", onnx.TensorProto.FLOAT: "TYPE_FP32"}


def write_model_repository(file: Path, folder: Path) -> Path:
    """Add an exported file to a model repository, as the next version of its model.

    Requests are batched dynamically: up to 32 images that arrive within 5 ms.

    Args:
        file: An ONNX file that `export_model` wrote.
        folder: The repository. NAME/config.pbtxt, NAME/labels.txt and NAME/VERSION/model.onnx are
            written; existing versions are kept.

    Returns:
        The folder of the new version.
    """
    model: onnx.ModelProto = onnx.load(file)
    card: dict[str, str] = {item.key: item.value for item in model.metadata_props}
    home = folder / card["name"]
    home.mkdir(parents=True, exist_ok=True)
    taken = [int(path.name) for path in home.iterdir() if path.name.isdigit()]
    version: Path = home / str(max(taken, default=0) + 1)
    write_text_atomically(home / "labels.txt", "\n".join(json.loads(card["labels"])) + "\n")
    write_text_atomically(home / "config.pbtxt", _config(model, card["name"]))

    def write(aside: Path) -> None:
        aside.mkdir()
        shutil.copyfile(file, aside / "model.onnx")

    write_atomically(version, write)
    return version


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
    tensor = item.type.tensor_type
    dims = ", ".join(str(axis.dim_value) for axis in tensor.shape.dim[1:])
    more = ' label_filename: "labels.txt"' if labels else ""
    if not dims:
        # Triton wants at least one axis beside that of the batch, and removes it again.
        dims, more = "1", " reshape: { shape: [ ] }"
    return (
        f"{kind} [ {{ name: {json.dumps(item.name)} data_type: {_TYPES[tensor.elem_type]} "
        f"dims: [ {dims} ]{more} }} ]"
    )
