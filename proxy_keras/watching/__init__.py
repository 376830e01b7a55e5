"""A page that follows a training; it knows a run by its files alone, without TensorFlow."""

from proxy_keras.watching.run_monitor import Follower
from proxy_keras.watching.watch_server import WatchServer, address

__all__ = ["Follower", "WatchServer", "address"]
