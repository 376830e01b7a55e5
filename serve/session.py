"""Opens an ONNX Runtime session on the device that was asked for, and says which one it got."""

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

# ONNX Runtime raises these; their only common ancestor is Exception.
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
    """A session, and what it runs on.

    Attributes:
        session: ONNX Runtime's.
        device: "cpu" or "cuda": what the session got.
        note: One line that says so, and for "auto" without CUDA why.
    """

    session: onnxruntime.InferenceSession
    device: Literal["cpu", "cuda"]
    note: str


def open_session(
    path: str | os.PathLike[str], *, device: Device = "auto", threads: int | None = None
) -> OpenSession:
    """The file, ready to run.

    Args:
        path: The ONNX file.
        device: "cuda", "cpu", or "auto": CUDA where it works, else the CPU.
        threads: CPU threads of one run; None: one per physical core that the process may use.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is no ONNX model that this ONNX Runtime can run, or an argument is no
            such value.
        RuntimeError: "cuda" was asked for and the session did not get it.
    """
    if device not in get_args(Device):
        raise ValueError(f"The device is auto, cpu or cuda. Received: {device!r}")
    if threads is not None and threads < 1:
        raise ValueError(f"The number of threads must be >= 1. Received: {threads}")
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"There is no file {os.fspath(path)!r}. Give the FILE.onnx that `python -m export` "
            "wrote."
        )
    threads = physical_cores() if threads is None else threads
    on_cpu = f"on the CPU, {threads} thread{'s' if threads > 1 else ''}"
    if device == "cpu":
        return OpenSession(_session(path, threads, [_CPU]), "cpu", on_cpu)
    lacking = _why_no_cuda()
    if lacking is None:
        with contextlib.redirect_stdout(sys.stderr):
            # Finds the libraries that pip installed; it prints what is missing.
            onnxruntime.preload_dlls()
        session = _session(path, threads, [_CUDA, _CPU])
        # ONNX Runtime falls back without an error: what it got is all that counts.
        if _CUDA in session.get_providers():
            return OpenSession(session, "cuda", "on the GPU, by CUDA")
        lacking = (
            f"ONNX Runtime {onnxruntime.__version__} could not start it; it needs the libraries "
            f"of CUDA {onnxruntime.cuda_version} and cuDNN 9, and a GPU that they support"
        )
    if device == "cuda":
        raise RuntimeError(
            f"The session did not get CUDA: {lacking}. Install what is missing (pip install "
            "'onnxruntime-gpu[cuda,cudnn]'), or ask for the device cpu."
        )
    # Also after a failed attempt anew, so that nothing of CUDA is left in the session.
    return OpenSession(_session(path, threads, [_CPU]), "cpu", f"{on_cpu} (no CUDA: {lacking})")


def one_line(error: Exception) -> str:
    """ONNX Runtime's message without its line ends and full stop."""
    return " ".join(str(error).split()).rstrip(".")


def _why_no_cuda() -> str | None:
    """What is missing for CUDA as far as can be told without trying it; None: nothing."""
    if _CUDA not in onnxruntime.get_available_providers():
        return "this ONNX Runtime is built without it"
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
    # Threads that spin while they wait take the time of those that decode images.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = _ERRORS_ONLY
    # Batches differ in size, and cuDNN's default is a search for each new size.
    settings = [{"cudnn_conv_algo_search": "HEURISTIC"} if p == _CUDA else {} for p in providers]
    onnxruntime.set_default_logger_severity(_ERRORS_ONLY)
    try:
        return onnxruntime.InferenceSession(
            os.fspath(path), options, providers=providers, provider_options=settings
        )
    except ORT_ERRORS as error:
        raise ValueError(
            f"ONNX Runtime {onnxruntime.__version__} cannot open {os.fspath(path)!r}: "
            f"{one_line(error)}. "
            "Give a FILE.onnx that `python -m export` wrote."
        ) from error
