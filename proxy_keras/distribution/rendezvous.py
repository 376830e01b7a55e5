"""The rendezvous of workers, before TensorFlow waits for them without end."""

from __future__ import annotations

import socket
import time

from proxy_keras.distribution.cluster import Cluster

_INTERVAL_S = 0.2


def meet(cluster: Cluster, wait_s: float) -> None:
    """Returns when every other worker can be reached at its address.

    TensorFlow itself waits in code that no exception, signal or thread gets into. So each worker
    listens at its own address until it has reached all others; from then on TensorFlow does.

    Args:
        cluster: The workers.
        wait_s: How long to wait for them, seconds.

    Raises:
        OSError: This worker's port is taken.
        TimeoutError: A worker has not come in time.
    """
    mine = cluster.addresses[cluster.worker]
    missing = [address for address in cluster.addresses if address != mine]
    ends_at = time.monotonic() + wait_s
    with _listener(mine):
        while missing := [address for address in missing if not _answers(address)]:
            if time.monotonic() >= ends_at:
                raise TimeoutError(
                    f"waited {wait_s:g} s for {len(missing)} of {len(cluster.addresses)} workers: "
                    f"{', '.join(missing)} cannot be reached. Start every worker that TF_CONFIG "
                    "names, and see that they can connect to each other at these addresses."
                )
            time.sleep(_INTERVAL_S)


def _listener(address: str) -> socket.socket:
    port = int(address.rpartition(":")[2])
    try:
        return socket.create_server(("", port), backlog=1024)
    except OSError as error:
        raise OSError(
            f"worker {address} cannot listen at its port: {error.strerror}. End what uses it, or "
            "give another port in the TF_CONFIG of every worker."
        ) from error


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=3.0).close()
    except OSError:
        return False
    return True
