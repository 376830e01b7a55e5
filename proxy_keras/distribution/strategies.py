"""The team of a training run: one device, all devices of a machine, or several machines."""

from __future__ import annotations

import os

import tensorflow as tf

from proxy_keras.distribution.cluster import Cluster
from proxy_keras.distribution.rendezvous import wait_for_workers
from proxy_keras.distribution.team import Team

WAIT_S = 300.0
"""How long a worker waits for the others at the start, in seconds."""


def make_team(strategy: str = "none", replicas: int | None = None) -> Team:
    """Create the team of devices; must be called before TensorFlow is used otherwise.

    Args:
        strategy: `none`: one device. `mirrored`: the GPUs of this machine, or parts of its CPU.
            `multi_worker`: the GPUs, or the CPU, of several machines, which wait for each other
            here. Each runs the same command with its own `TF_CONFIG`.
        replicas: Required total number of replicas. None: all that are available.

    Raises:
        ValueError: There are too few devices, or `TF_CONFIG` is invalid.
        OSError: A worker was not reached in time, or its port is in use.
    """
    if strategy == "none":
        return Team()
    if strategy == "mirrored":
        return Team(tf.distribute.MirroredStrategy(_local_devices(replicas)))
    cluster = Cluster.from_environment(os.environ)
    wait_for_workers(cluster, WAIT_S)
    joined = tf.distribute.MultiWorkerMirroredStrategy()
    found = joined.num_replicas_in_sync
    if replicas not in (None, found):
        raise ValueError(
            f"The workers in TF_CONFIG have {found} replicas in total. Received: replicas="
            f"{replicas}. A run must resume with the number it was started with."
        )
    return Team(joined, worker=cluster.worker, workers=len(cluster.addresses))


def _local_devices(replicas: int | None) -> list[str]:
    """Return the GPUs, or parts of the CPU."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        if replicas is not None and replicas > len(gpus):
            raise ValueError(
                f"This machine has {len(gpus)} GPUs. Received: replicas={replicas}. Use fewer."
            )
        return [f"GPU:{number}" for number in range(replicas or len(gpus))]
    if replicas is not None:
        _split_cpu(replicas)
    cpus = len(tf.config.list_logical_devices("CPU"))
    if cpus < (replicas or 2):
        raise ValueError(
            f"`strategy='mirrored'` found no GPU, and a CPU in {cpus} part(s). Received: replicas="
            f"{replicas}. Pass for example replicas=2 before TensorFlow is used, to split the CPU, "
            "or strategy='none'."
        )
    return [f"CPU:{number}" for number in range(replicas or cpus)]


def _split_cpu(parts: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * parts
        )
    except RuntimeError:
        # TensorFlow is already in use; the CPU may have been split before.
        return
