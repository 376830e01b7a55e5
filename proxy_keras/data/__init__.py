"""Images of any source: read, looked through, and split once."""

from proxy_keras.data.image_data import ImageData
from proxy_keras.data.images import UnreadableImageError, read_image
from proxy_keras.data.sources import load_source
from proxy_keras.data.split_table import SplitTable

__all__ = ["ImageData", "SplitTable", "UnreadableImageError", "load_source", "read_image"]
