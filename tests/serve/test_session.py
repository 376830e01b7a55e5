"""A session reports its device, and never falls back silently."""

from __future__ import annotations

import onnxruntime
import pytest

from serve import session
from serve.session import open_session

CUDA = "CUDAExecutionProvider"


class FakeSession:
    """An ONNX Runtime session whose device is known."""

    works = True
    opened: list[tuple[list[str], onnxruntime.SessionOptions, list[dict[str, str]]]] = []

    def __init__(self, path, options, *, providers, provider_options):
        self.opened.append((providers, options, provider_options))
        self._providers = providers if self.works else ["CPUExecutionProvider"]

    def get_providers(self):
        return self._providers


@pytest.fixture
def cuda(monkeypatch):
    """A machine with a driver, where sessions get CUDA if `works` is true."""
    monkeypatch.setattr(FakeSession, "opened", [])
    monkeypatch.setattr(FakeSession, "works", True)
    monkeypatch.setattr(session, "_why_no_cuda", lambda: None)
    monkeypatch.setattr(onnxruntime, "InferenceSession", FakeSession)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("libraries are missing"))
    return FakeSession


@pytest.fixture(autouse=True)
def _loud_again():
    yield
    onnxruntime.set_default_logger_severity(2)


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_cuda_where_it_works(cuda, write_model, device, capsys):
    opened = open_session(write_model(), device=device)
    assert (opened.device, opened.note) == ("cuda", "on the GPU, by CUDA")
    providers, _, settings = cuda.opened[0]
    assert providers == [CUDA, "CPUExecutionProvider"]
    assert settings == [{"cudnn_conv_algo_search": "HEURISTIC"}, {}]
    # stdout is reserved for answers.
    assert capsys.readouterr() == ("", "libraries are missing\n")


def test_auto_falls_back_and_says_why(cuda, write_model, monkeypatch):
    monkeypatch.setattr(cuda, "works", False)
    opened = open_session(write_model(), device="auto", threads=3)
    assert opened.device == "cpu"
    assert opened.note.startswith("on the CPU, 3 threads (no CUDA: ONNX Runtime")
    assert [providers for providers, _, _ in cuda.opened][-1] == ["CPUExecutionProvider"]


def test_cuda_that_was_not_got_is_an_error(cuda, write_model, monkeypatch):
    monkeypatch.setattr(cuda, "works", False)
    with pytest.raises(RuntimeError, match="did not get CUDA: .* could not start it"):
        open_session(write_model(), device="cuda")


@pytest.mark.parametrize(
    ("providers", "driver", "reason"),
    [
        (["CPUExecutionProvider"], "libc.so.6", "was built without it"),
        ([CUDA], "no-such-library.so.1", "there is no NVIDIA driver"),
    ],
)
def test_what_is_missing_is_named(write_model, monkeypatch, providers, driver, reason):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    monkeypatch.setattr(session, "_DRIVER", driver)
    with pytest.raises(RuntimeError, match=reason):
        open_session(write_model(), device="cuda")
    assert reason in open_session(write_model(), device="auto").note


def test_the_options_of_a_session(cuda, write_model, monkeypatch):
    monkeypatch.setattr(session, "physical_cores", lambda: 5)
    opened = open_session(write_model(), device="cpu")
    assert (opened.device, opened.note) == ("cpu", "on the CPU, 5 threads")
    _, options, _ = cuda.opened[0]
    assert options.intra_op_num_threads == 5
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_a_real_session_on_the_cpu(write_model):
    opened = open_session(write_model(), device="cpu", threads=1)
    assert opened.session.get_providers() == ["CPUExecutionProvider"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"device": "gpu"}, ValueError, "auto, cpu or cuda. Received: 'gpu'"),
        ({"threads": 0}, ValueError, "threads must be >= 1. Received: 0"),
    ],
)
def test_arguments_are_checked(write_model, arguments, error, message):
    with pytest.raises(error, match=message):
        open_session(write_model(), **arguments)


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file .*gone.onnx"):
        open_session(tmp_path / "gone.onnx")
    text = tmp_path / "text.onnx"
    text.write_text("not a model")
    with pytest.raises(ValueError, match="cannot open .*text.onnx.*python -m export"):
        open_session(text, device="cpu")
