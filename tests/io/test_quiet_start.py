"""Commands print what they do, not TensorFlow's start-up lines."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import os, sys
from proxy_keras.io.quiet_start import start_quietly
start_quietly(sys.argv[1:])
import tensorflow as tf
tf.constant(1) + 1
print("level", os.environ.get("TF_CPP_MIN_LOG_LEVEL"))
"""
FAKE = """
import os, sys
from importlib.machinery import ModuleSpec
class TensorFlow:
    def find_spec(self, name, path=None, target=None):
        if name == "tensorflow":
            return ModuleSpec(name, self)
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        os.write(2, b"I0000 00:00:1.2 3 port.cc:153] oneDNN is on\\n")
        os.write(2, b"W0000 00:00:1.2 3 gpu.cc:1] no GPU\\n")
        os.write(2, b"E0000 00:00:1.2 3 gpu.cc:1] broken driver\\n")
        os.write(2, b"a library's own words\\n")
sys.meta_path.insert(0, TensorFlow())
from proxy_keras.io.quiet_start import start_quietly
start_quietly(sys.argv[1:])
import tensorflow
"""


def _run(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, check=True
    )


def test_nothing_is_printed_on_import() -> None:
    done = _run(SCRIPT)
    assert done.stderr == "" and done.stdout in ("level 3\n", "level 2\n")


@pytest.mark.parametrize("words", [[], ["--verbose"]])
def test_errors_and_other_lines_are_passed_on(words: list[str]) -> None:
    lines = _run(FAKE, *words).stderr.splitlines()
    noise = ["I0000 00:00:1.2 3 port.cc:153] oneDNN is on", "W0000 00:00:1.2 3 gpu.cc:1] no GPU"]
    told = ["E0000 00:00:1.2 3 gpu.cc:1] broken driver", "a library's own words"]
    assert lines == [*(noise if words else []), *told]
