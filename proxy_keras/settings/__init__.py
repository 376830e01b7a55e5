"""The settings of a training run: declared once, checked when they are made; no TensorFlow."""

from proxy_keras.settings.data_config import DataConfig
from proxy_keras.settings.declaration import Declared, declared
from proxy_keras.settings.presets import PRESETS
from proxy_keras.settings.proxy_config import CONTROLS, USUAL_CONTROLS, ProxyConfig
from proxy_keras.settings.train_config import TrainConfig
from proxy_keras.settings.wording import arguments_text

__all__ = [
    "CONTROLS",
    "PRESETS",
    "USUAL_CONTROLS",
    "DataConfig",
    "Declared",
    "ProxyConfig",
    "TrainConfig",
    "arguments_text",
    "declared",
]
