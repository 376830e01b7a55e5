"""A page that follows a training; it knows a run by its files alone, without TensorFlow."""

from proxy_keras.watching.run_monitor import RunMonitor
from proxy_keras.watching.watch_server import WatchServer, page_url

__all__ = ["RunMonitor", "WatchServer", "page_url"]
