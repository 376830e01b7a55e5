"""The processes of a training run on several machines, as given by `TF_CONFIG`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

EXAMPLE = (
    '{"cluster": {"worker": ["10.0.0.1:12345", "10.0.0.2:12345"]}, '
    '"task": {"type": "worker", "index": 0}}'
)


@dataclass(frozen=True)
class Cluster:
    """The processes that train together.

    Attributes:
        addresses: HOST:PORT of each; the first is the chief's.
        worker: Index of this process.
    """

    addresses: tuple[str, ...]
    worker: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Cluster:
        """Parse the cluster from the variable `TF_CONFIG`.

        Raises:
            ValueError: It is not set, or does not have the format that TensorFlow documents.
        """
        text = environment.get("TF_CONFIG", "")
        if not text:
            raise ValueError(
                "`strategy='multi_worker'` needs the environment variable TF_CONFIG, which lists "
                f"all workers and the index of this one, for example {EXAMPLE}"
            )
        try:
            config = json.loads(text)
            cluster, task = config["cluster"], config["task"]
            names = {job: [str(name) for name in cluster.get(job, [])] for job in _JOBS}
            job, index = task["type"], int(task["index"])
            others = set(cluster) - set(_JOBS)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                f"TF_CONFIG must be JSON, for example {EXAMPLE}. Received: {text} "
                f"({type(error).__name__}: {error})"
            ) from error
        _check(text, names, job, index, others)
        before = len(names["chief"]) if job == "worker" else 0
        return cls(tuple(names["chief"] + names["worker"]), before + index)


_JOBS = ("chief", "worker")


def _check(text: str, names: dict[str, list[str]], job: Any, index: int, others: set[str]) -> None:
    rule = None
    if others or job not in _JOBS:
        rule = "may only have jobs of type 'worker' and one of type 'chief'"
    elif len(names["chief"]) > 1:
        rule = "may have only one chief"
    elif not 0 <= index < len(names[job]):
        rule = f"must have a {job} index from 0 to {len(names[job]) - 1}"
    elif any(not port.isdigit() for name in names[job] for port in [name.rpartition(":")[2]]):
        rule = "must give each address as HOST:PORT"
    if rule is not None:
        raise ValueError(f"TF_CONFIG {rule}. Received: {text}")
