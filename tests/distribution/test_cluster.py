"""TF_CONFIG as TensorFlow documents it, and every mistake in it told."""

import json

import pytest

from proxy_keras.distribution.cluster import Cluster

TWO = {"worker": ["a:1", "b:2"]}


def _cluster(cluster, kind="worker", index=0):
    task = {"type": kind, "index": index}
    return Cluster.from_environment({"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})})


def test_workers():
    assert _cluster(TWO, index=1) == Cluster(("a:1", "b:2"), 1)


def test_the_chief_comes_first():
    cluster = {"worker": ["a:1", "b:2"], "chief": ["c:3"]}
    assert _cluster(cluster, "chief") == Cluster(("c:3", "a:1", "b:2"), 0)
    assert _cluster(cluster, index=1).worker == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "needs the environment variable TF_CONFIG"),
        ("{", "must be JSON, for example"),
        ("[]", "must be JSON, for example"),
        ('{"cluster": {"worker": ["a:1"]}}', "'task'"),
        (
            '{"cluster": ["a:1"], "task": {"type": "worker", "index": 0}}',
            "must be JSON, for example",
        ),
    ],
)
def test_no_tf_config(text, message):
    with pytest.raises(ValueError, match=message):
        Cluster.from_environment({} if text is None else {"TF_CONFIG": text})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((TWO, "worker", 2), "index from 0 to 1"),
        ((TWO, "chief", 0), "index from 0 to -1"),
        ((TWO, "evaluator", 0), "jobs of type 'worker'"),
        (({**TWO, "ps": ["c:3"]},), "jobs of type 'worker'"),
        (({**TWO, "chief": ["c:3", "d:4"]},), "only one chief"),
        (({"worker": ["a:1", "b"]},), "HOST:PORT"),
    ],
)
def test_a_tf_config_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=f"TF_CONFIG.*{message}"):
        _cluster(*arguments)
