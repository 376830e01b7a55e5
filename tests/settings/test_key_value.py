"""KEY=VALUE options of attribution methods on the command line."""

import argparse

import pytest

from proxy_keras.settings import ProxyConfig
from proxy_keras.settings.options import add_options


def _parsed(*words):
    parser = argparse.ArgumentParser()
    add_options(parser, ProxyConfig, "method_options")
    return parser.parse_args(words).method_options


def test_values_are_python_literals_or_text():
    words = ["samples=50", "noise=0.1", "baseline=blur", "value_range=(-1, 1)", "name=a=b"]
    options = _parsed(*(part for word in words for part in ("--method-option", word)))
    assert options == {
        "samples": 50,
        "noise": 0.1,
        "baseline": "blur",
        "value_range": [-1, 1],
        "name": "a=b",
    }
    assert _parsed() is None


@pytest.mark.parametrize("word", ["samples", "=3", "two words=3"])
def test_anything_else_is_refused(word, capsys):
    with pytest.raises(SystemExit) as error:
        _parsed("--method-option", word)
    assert error.value.code == 2
    assert "--method-option takes KEY=VALUE" in capsys.readouterr().err
