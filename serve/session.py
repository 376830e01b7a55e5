"""ONNX Runtime sessions on the requested device, checked against the device actually used."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from dataclasses import dataclass
from typing import Literal, get_args

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from serve.cpus import physical_cores

Device = Literal["auto", "cpu", "cuda"]

# The errors of ONNX Runtime; their only common base class is Exception.
ORT_ERRORS: tuple[type[Exception], ...] = (
    ort_errors.DeviceReset,
    ort_errors.EPFail,
    ort_errors.EngineError,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.ModelRequiresCompilation,
    ort_errors.NoModel,
    ort_errors.NoSuchFile,
    ort_errors.NotFound,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)

_CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"
_ERRORS_ONLY = 3
_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


@dataclass(frozen=True)
class OpenSession:
    """A session and its device.

    Attributes:
        session: The session of ONNX Runtime.
        device: Device of the session, "cpu" or "cuda".
        note: One line about the device; for "auto" without CUDA it gives the reason.
    """

    session: onnxruntime.InferenceSession
    device: Literal["cpu", "cuda"]
    note: str


def open_session(
    path: str | os.PathLike[str], *, device: Device = "auto", threads: int | None = None
) -> OpenSession:
    """Open a session for an ONNX file.

    Args:
        path: The ONNX file.
        device: "cuda", "cpu", or "auto": CUDA if it works, else the CPU.
        threads: CPU threads per run; None: one per physical core that the process may use.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: This ONNX Runtime cannot open the file, or an argument is invalid.
        RuntimeError: "cuda" was requested but is not available.
    """
    if device not in get_args(Device):
        raise ValueError(f"The device must be auto, cpu or cuda. Received: {device!r}")
    if threads is not None and threads < 1:
        raise ValueError(f"The number of threads must be >= 1. Received: {threads}")
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"There is no file {os.fspath(path)!r}. Give a FILE.onnx written by `python -m export`."
        )
    threads = physical_cores() if threads is None else threads
    on_cpu = f"on the CPU, {threads} thread{'s' if threads > 1 else ''}"
    if device == "cpu":
        return OpenSession(_session(path, threads, [_CPU]), "cpu", on_cpu)
    lacking = _why_no_cuda()
    if lacking is None:
        with contextlib.redirect_stdout(sys.stderr):
            # Loads the libraries installed by pip; it prints what is missing.
            onnxruntime.preload_dlls()
        session = _session(path, threads, [_CUDA, _CPU])
        # ONNX Runtime falls back to the CPU silently.
        if _CUDA in session.get_providers():
            return OpenSession(session, "cuda", "on the GPU, by CUDA")
        lacking = (
            f"ONNX Runtime {onnxruntime.__version__} could not start it; it needs the libraries "
            f"of CUDA {onnxruntime.cuda_version} and cuDNN 9, and a GPU supported by them"
        )
    if device == "cuda":
        raise RuntimeError(
            f"The session did not get CUDA: {lacking}. Install what is missing (pip install "
            "'onnxruntime-gpu[cuda,cudnn]'), or use the device cpu."
        )
    # A new session even after a failed attempt, so that no part of it uses CUDA.
    return OpenSession(_session(path, threads, [_CPU]), "cpu", f"{on_cpu} (no CUDA: {lacking})")


def one_line(error: Exception) -> str:
    """Return the message of ONNX Runtime without line breaks and final full stop."""
    return " ".join(str(error).split()).rstrip(".")


def _why_no_cuda() -> str | None:
    """Return what is missing for CUDA, without trying it; None if nothing is known to be."""
    if _CUDA not in onnxruntime.get_available_providers():
        return "this ONNX Runtime was built without it"
    try:
        ctypes.CDLL(_DRIVER)
    except OSError:
        return "there is no NVIDIA driver"
    return None


def _session(
    path: str | os.PathLike[str], threads: int, providers: list[str]
) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads would take CPU time from the decoding threads.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = _ERRORS_ONLY
    # cuDNN's default is an exhaustive search for each new batch size.
    settings = [{"cudnn_conv_algo_search": "HEURISTIC"} if p == _CUDA else {} for p in providers]
    onnxruntime.set_default_logger_severity(_ERRORS_ONLY)
    try:
        return onnxruntime.InferenceSession(
            os.fspath(path), options, providers=providers, provider_options=settings
        )
    except ORT_ERRORS as error:
        raise ValueError(
            f"ONNX Runtime {onnxruntime.__version__} cannot open {os.fspath(path)!r}: "
            f"{one_line(error)}. Give a FILE.onnx written by `python -m export`."
        ) from error
