"""The dtype policy chosen for each kind of machine."""

from __future__ import annotations

import warnings
from pathlib import Path

import keras
import pytest

from proxy_keras.training import precision
from proxy_keras.training.precision import resolve_precision


@pytest.fixture
def cpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without a GPU; the returned file holds its CPU flags."""
    flags = tmp_path / "cpuinfo"
    monkeypatch.setattr(precision, "_CPU_FLAGS_FILE", flags)
    monkeypatch.setattr(precision, "_has_gpu", lambda: False)
    return flags


@pytest.mark.parametrize(
    ("flags", "policy"),
    [
        ("flags : fpu avx512f avx512_bf16 amx_tile", "mixed_bfloat16"),
        ("flags\t\t: amx_bf16", "mixed_bfloat16"),
        ("flags : fpu avx2 avx512f", "float32"),
        ("flags : not_avx512_bf16x", "float32"),
    ],
)
def test_a_cpu_gets_bfloat16_only_with_native_support(cpu: Path, flags: str, policy: str) -> None:
    cpu.write_text(flags)
    assert resolve_precision("auto") == policy


def test_a_cpu_without_readable_flags_gets_float32(cpu: Path) -> None:
    assert resolve_precision() == "float32"


@pytest.mark.parametrize(
    ("capabilities", "policy"),
    [
        ([(9, 0)], "mixed_float16"),
        ([(7, 0)], "mixed_float16"),
        ([(6, 1)], "float32"),
        ([(9, 0), (6, 1)], "float32"),
        ([None], "float32"),
    ],
)
def test_gpus_get_float16_if_all_have_tensor_cores(
    capabilities: list[tuple[int, int] | None], policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda _: capabilities)
    monkeypatch.setattr(
        "tensorflow.config.experimental.get_device_details",
        lambda gpu: {} if gpu is None else {"compute_capability": gpu},
    )
    assert resolve_precision("auto") == policy


def test_float16_without_a_gpu_warns(cpu: Path) -> None:
    with pytest.warns(UserWarning, match="five times slower"):
        assert resolve_precision("mixed_float16") == "mixed_float16"


@pytest.mark.parametrize("name", ["float32", "mixed_bfloat16"])
def test_other_policies_are_returned_without_a_warning(cpu: Path, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert keras.DTypePolicy(resolve_precision(name)).name == name


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="float32, mixed_float16.*Received: 'half'"):
        resolve_precision("half")
