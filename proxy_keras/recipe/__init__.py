"""How a classifier is trained: optimizer, precision, and the two searches before the start."""

from proxy_keras.recipe.batch_size import BatchSizeResult, find_batch_size
from proxy_keras.recipe.lr_range_test import LrRangeResult, find_learning_rate
from proxy_keras.recipe.one_cycle import OneCycle
from proxy_keras.recipe.optimizer import make_optimizer
from proxy_keras.recipe.precision import resolve_precision

__all__ = [
    "BatchSizeResult",
    "LrRangeResult",
    "OneCycle",
    "find_batch_size",
    "find_learning_rate",
    "make_optimizer",
    "resolve_precision",
]
