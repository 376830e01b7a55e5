"""What a rule is: the output of a layer, and the way back from the output's gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import tensorflow as tf

# Gradient of the output -> one gradient per argument of the call, lists flattened. Arguments at the
# end that are no tensors, such as the key of an indexing, are left out.
Pullback: TypeAlias = Callable[[tf.Tensor], tuple[tf.Tensor, ...]]

# (layer or operation, *arguments of its call) -> its output in inference, and the pullback. What it
# cannot differentiate it refuses with a NotImplementedError that gives the reason, "a mask is
# given". All that it computes converts to ONNX, with a batch of any size.
Rule: TypeAlias = Callable[..., tuple[tf.Tensor, Pullback]]
