"""Image data: reading, checking, and a split that is drawn once."""

from proxy_keras.data.image_data import ImageData
from proxy_keras.data.images import UnreadableImageError, read_image
from proxy_keras.data.scanned_files import ChangedImageError
from proxy_keras.data.split_table import SplitTable

__all__ = [
    "ChangedImageError",
    "ImageData",
    "SplitTable",
    "UnreadableImageError",
    "load_source",
    "read_image",
]

load_source = ImageData.from_source
