"""A live page of a training run, based on the files of its run folder, without TensorFlow."""

from proxy_keras.watching.run_monitor import RunMonitor
from proxy_keras.watching.watch_server import WatchServer, page_url

__all__ = ["RunMonitor", "WatchServer", "page_url"]
