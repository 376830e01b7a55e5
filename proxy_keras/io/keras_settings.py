"""Settings of Keras that a user may have changed, in `keras.json` or the environment."""

from __future__ import annotations

import keras

from proxy_keras.io.extras import WrongBackend


def require_tensorflow() -> None:
    """Check that Keras runs on TensorFlow.

    Raises:
        WrongBackend: It does not.
    """
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise WrongBackend(backend)


def require_channels_last() -> None:
    """Check that Keras' layers take images [B, H, W, C] by default.

    Some layers read the setting when they are called, so that creating them with another one is not
    enough.

    Raises:
        ValueError: They do not.
    """
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            "Images must be [B, H, W, C]. Received: Keras' setting image_data_format="
            f"'{keras.config.image_data_format()}'. Call keras.config.set_image_data_format("
            '\'channels_last\') first, or set "image_data_format": "channels_last" in '
            "~/.keras/keras.json."
        )
