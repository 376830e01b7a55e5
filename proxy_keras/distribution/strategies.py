"""Makes the team of a training: one device, all devices of a machine, or several machines."""

from __future__ import annotations

import os

import tensorflow as tf

from proxy_keras.distribution.cluster import Cluster
from proxy_keras.distribution.rendezvous import meet
from proxy_keras.distribution.team import Team

WAIT_S = 300.0
"""How long a worker waits for the others when a training begins, seconds."""


def make_team(strategy: str = "none", replicas: int | None = None) -> Team:
    """The devices that train together; to be called before anything else of TensorFlow.

    Args:
        strategy: `none`: one device. `mirrored`: the GPUs of this machine, or parts of its CPU.
            `multi_worker`: the GPUs, or the CPU, of several machines, which wait for each other
            here. Each runs the same command, and `TF_CONFIG` tells them apart.
        replicas: How many there must be in all; None: as many as there are.

    Raises:
        ValueError: There are fewer devices, or `TF_CONFIG` is not usable.
        OSError: A worker has not come in time, or its port is taken.
    """
    if strategy == "none":
        return Team()
    if strategy == "mirrored":
        return Team(tf.distribute.MirroredStrategy(_local_devices(replicas)))
    cluster = Cluster.from_environment(os.environ)
    meet(cluster, WAIT_S)
    joined = tf.distribute.MultiWorkerMirroredStrategy()
    found = joined.num_replicas_in_sync
    if replicas not in (None, found):
        raise ValueError(
            f"The workers of TF_CONFIG have {found} replicas in all. Received: replicas="
            f"{replicas}. A run goes on with as many as it was started with."
        )
    return Team(joined, worker=cluster.worker, workers=len(cluster.addresses))


def _local_devices(replicas: int | None) -> list[str]:
    """The GPUs, or parts of the CPU."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        if replicas is not None and replicas > len(gpus):
            raise ValueError(
                f"This machine has {len(gpus)} GPUs. Received: replicas={replicas}. Give fewer."
            )
        return [f"GPU:{number}" for number in range(replicas or len(gpus))]
    if replicas is not None:
        _split_cpu(replicas)
    cpus = len(tf.config.list_logical_devices("CPU"))
    if cpus < (replicas or 2):
        raise ValueError(
            f"`strategy='mirrored'` finds no GPU, and a CPU in {cpus} part(s). Received: replicas="
            f"{replicas}. Give replicas=2, for example, before TensorFlow is used, to split it; or "
            "strategy='none'."
        )
    return [f"CPU:{number}" for number in range(replicas or cpus)]


def _split_cpu(parts: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * parts
        )
    except RuntimeError:
        # TensorFlow is in use already; it may have been split well enough before.
        return
