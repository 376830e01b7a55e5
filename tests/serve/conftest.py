"""`write_model`: tiny ONNX files as written by export, with known answers."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

WriteModel = Callable[..., Path]


@pytest.fixture(scope="session")
def write_model(tmp_path_factory: pytest.TempPathFactory) -> WriteModel:
    """Write a model whose logits are the mean colour (R, G, B) / 255.

    A red picture is thus class 0, a green one class 1, a blue one class 2; classes beyond the
    third have the logit 0. The heatmap is the mean of 2x2 blocks over all channels, scaled by its
    own minimum and maximum. With cues, "1", "2" and "3" are red, green and blue: their shares of
    the light.
    """
    folder = tmp_path_factory.mktemp("models")
    numbers = itertools.count()

    def write(
        path: str | Path | None = None,
        *,
        size: int = 8,
        labels: Sequence[str] = ("a", "b", "c"),
        explain: str = "grad_cam",
        dtype: str = "uint8",
        ticked: Sequence[bool] = (),
        nan_in: Sequence[str] = (),
        metadata: dict[str, str | None] | None = None,
    ) -> Path:
        """Return the file written; `metadata` adds entries, and None removes one.

        The model has cues if `ticked` has three values. The outputs in `nan_in` are NaN for black
        images.
        """
        cues = [
            {"name": str(number), "ticked": is_ticked, "description": f"colour {number}"}
            for number, is_ticked in enumerate(ticked, start=1)
        ]
        path = folder / f"{next(numbers)}.onnx" if path is None else Path(path)
        entries: dict[str, str | None] = {
            "format_version": "1",
            "name": "mean_colour",
            "labels": json.dumps(list(labels)),
            "image_size": json.dumps([size, size]),
            "resize_rule": "stretch_bilinear_antialiased",
            "value_range": "[0, 255]",
            "explain": explain,
            "target_layer": None if explain == "none" else "blocks",
            "precision": "fp32",
            "versions": json.dumps({"keras": "3.15.1"}),
            "parity": "{}",
            "cues": json.dumps(cues) if cues else None,
            **(metadata or {}),
        }
        model = _mean_colour(size, len(labels), explain != "none", dtype, ticked, nan_in)
        helper.set_model_props(model, {k: v for k, v in entries.items() if v is not None})
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, str(path))
        return path

    return write


def _mean_colour(
    size: int,
    classes: int,
    has_heatmap: bool,
    dtype: str,
    ticked: Sequence[bool],
    nan_in: Sequence[str],
) -> onnx.ModelProto:
    kind = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT}[dtype]
    to_logits = np.eye(3, classes, dtype=np.float32) / 255
    constants = {
        "to_logits": to_logits,
        "blocks_shape": np.array([-1, size // 2, 2, size // 2, 2, 3], np.int64),
        "tiny": np.float32(1e-12),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels"], ["colour"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["colour", "to_logits"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    outputs: list[tuple[str, list[Any]]] = [
        ("logits", ["N", classes]),
        ("probabilities", ["N", classes]),
    ]
    if has_heatmap:
        outputs.append(("heatmap", ["N", size // 2, size // 2]))
        nodes += [
            helper.make_node("Reshape", ["pixels", "blocks_shape"], ["blocks"]),
            helper.make_node("ReduceMean", ["blocks"], ["heat"], axes=[2, 4, 5], keepdims=0),
            helper.make_node("ReduceMin", ["heat"], ["low"], axes=[1, 2]),
            helper.make_node("ReduceMax", ["heat"], ["high"], axes=[1, 2]),
            helper.make_node("Sub", ["high", "low"], ["span"]),
            helper.make_node("Max", ["span", "tiny"], ["divisor"]),
            helper.make_node("Sub", ["heat", "low"], ["above"]),
            helper.make_node("Div", ["above", "divisor"], ["heatmap"]),
        ]
    else:
        del constants["blocks_shape"]
    if ticked:
        outputs += [("cues", ["N", 3]), ("ticked_share", ["N"])]
        constants |= {"is_ticked": np.float32(ticked), "one": np.array([1], np.int64)}
        nodes += [
            helper.make_node("ReduceSum", ["colour", "one"], ["light"]),
            helper.make_node("Max", ["light", "tiny"], ["whole"]),
            helper.make_node("Div", ["colour", "whole"], ["cues"]),
            helper.make_node("Mul", ["cues", "is_ticked"], ["on_ticked"]),
            helper.make_node("ReduceSum", ["on_ticked", "one"], ["ticked_share"], keepdims=0),
        ]
    if nan_in:
        # Black divided by black is NaN.
        nodes[2:2] = [
            helper.make_node("ReduceMean", ["colour"], ["mean"], axes=[1], keepdims=0),
            helper.make_node("Div", ["mean", "mean"], ["unless_black"]),
        ]
    for name in nan_in:
        at = next(n for n, node in enumerate(nodes) if name in node.output)
        nodes[at].output[0] = f"finite_{name}"
        axes = len(dict(outputs)[name]) - 1
        constants[f"axes_{name}"] = np.arange(1, 1 + axes)
        nodes[at + 1 : at + 1] = [
            helper.make_node("Unsqueeze", ["unless_black", f"axes_{name}"], [f"factor_{name}"]),
            helper.make_node("Mul", [f"finite_{name}", f"factor_{name}"], [name]),
        ]
    graph = helper.make_graph(
        nodes,
        "mean_colour",
        [helper.make_tensor_value_info("image", kind, ["N", size, size, 3])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in outputs],
        [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="tests"
    )
