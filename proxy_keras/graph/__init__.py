"""The flat float32 copy of a Keras model, and queries about its graph."""

from proxy_keras.graph.containers import has_graph, is_attention
from proxy_keras.graph.flat_clone import FlatClone
from proxy_keras.graph.float32_copy import quiet_construction
from proxy_keras.graph.nodes import (
    frontier,
    has_gradient,
    inputs_of,
    nodes_to,
    operation_of,
    original_of,
)
from proxy_keras.io.keras_settings import require_tensorflow

require_tensorflow()

__all__ = [
    "FlatClone",
    "frontier",
    "has_graph",
    "has_gradient",
    "inputs_of",
    "is_attention",
    "nodes_to",
    "operation_of",
    "original_of",
    "quiet_construction",
]
