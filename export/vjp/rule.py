"""The types of VJP rules: a rule returns a layer's output and its pullback."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import tensorflow as tf

# Gradient of the output -> one gradient per argument of the call, with lists flattened and without
# trailing arguments that are not tensors, such as an index.
Pullback: TypeAlias = Callable[[tf.Tensor], tuple[tf.Tensor, ...]]

# (layer or operation, *arguments of its call) -> its output in inference, and the pullback. Raises
# NotImplementedError with the reason ("a mask is given") if it cannot differentiate the call. All
# operations convert to ONNX, with a dynamic batch size.
Rule: TypeAlias = Callable[..., tuple[tf.Tensor, Pullback]]
