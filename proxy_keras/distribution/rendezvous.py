"""The rendezvous of workers, with a timeout that TensorFlow's own does not have."""

from __future__ import annotations

import socket
import time

from proxy_keras.distribution.cluster import Cluster

_INTERVAL_S = 0.2


def wait_for_workers(cluster: Cluster, timeout_s: float) -> None:
    """Wait until every other worker can be reached at its address.

    TensorFlow's own wait cannot be interrupted by an exception, signal or thread. So each worker
    first listens at its own address until it has reached all others; then TensorFlow takes over.

    Args:
        cluster: The workers.
        timeout_s: Longest time to wait, in seconds.

    Raises:
        OSError: This worker's port is in use.
        TimeoutError: A worker was not reached in time.
    """
    mine = cluster.addresses[cluster.worker]
    missing = [address for address in cluster.addresses if address != mine]
    deadline = time.monotonic() + timeout_s
    with _listener(mine):
        while missing := [address for address in missing if not _is_reachable(address)]:
            if time.monotonic() >= deadline:
                raise TimeoutError(
                    f"waited {timeout_s:g} s for {len(missing)} of {len(cluster.addresses)} "
                    f"workers: {', '.join(missing)} cannot be reached. Start every worker in "
                    "TF_CONFIG, and check that they can connect to each other at these addresses."
                )
            time.sleep(_INTERVAL_S)


def _listener(address: str) -> socket.socket:
    port = int(address.rpartition(":")[2])
    try:
        return socket.create_server(("", port), backlog=1024)
    except OSError as error:
        raise OSError(
            f"worker {address} cannot listen on its port: {error.strerror}. Stop the program that "
            "uses it, or set another port in the TF_CONFIG of every worker."
        ) from error


def _is_reachable(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=3.0).close()
    except OSError:
        return False
    return True
