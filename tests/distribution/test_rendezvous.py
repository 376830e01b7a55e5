"""Workers wait for each other, but not for ever."""

import socket
import threading

import pytest

from proxy_keras.distribution.cluster import Cluster
from proxy_keras.distribution.rendezvous import wait_for_workers


@pytest.fixture
def addresses():
    sockets = [socket.create_server(("", 0)) for _ in range(2)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return tuple(f"127.0.0.1:{port}" for port in ports)


def test_two_workers_find_each_other(addresses):
    first = threading.Thread(target=wait_for_workers, args=(Cluster(addresses, 0), 20.0))
    first.start()
    # As TensorFlow's own server will, the second one listens from now on.
    with socket.create_server(("", int(addresses[1].rpartition(":")[2]))):
        first.join(timeout=20.0)
    assert not first.is_alive()


def test_a_missing_worker_is_named(addresses):
    with pytest.raises(TimeoutError, match=f"1 of 2 workers: {addresses[1]} cannot be reached"):
        wait_for_workers(Cluster(addresses, 0), 0.0)


def test_a_port_that_is_taken(addresses):
    with (
        socket.create_server(("", int(addresses[0].rpartition(":")[2]))),
        pytest.raises(OSError, match="cannot listen on its port"),
    ):
        wait_for_workers(Cluster(addresses, 0), 0.0)
