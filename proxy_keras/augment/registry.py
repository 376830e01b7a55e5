"""Augmentation layers by name, text or specification; classes are imported when needed."""

from __future__ import annotations

from typing import Any

from proxy_keras.augment.batch_layer import BatchLayer
from proxy_keras.augment.catalogue import WRAPPERS, AugmentationSpec, import_class, names


def get(name: str, **options: Any) -> BatchLayer:
    """Return an augmentation by its name.

    Args:
        name: One of `names()`.
        **options: Options of the augmentation, such as `alpha`, and `seed`, `probability` and
            `value_range`. Options that `curriculum` and `keep_augment` do not have go to the
            augmentation that they wrap, their `of` and `inner`.

    Raises:
        ValueError: The augmentation or an option does not exist, or a value is not allowed.
    """
    return build(AugmentationSpec(name, tuple(options.items())))


def build(spec: AugmentationSpec) -> BatchLayer:
    """Build an augmentation from its specification.

    Raises:
        ValueError: See `get`.
    """
    layer_class: type[BatchLayer] = import_class(spec.name)
    inner = spec.inner
    wrapped = {} if inner is None else {WRAPPERS[spec.name]: build(inner)}
    return layer_class(**{**spec.own_options, **wrapped})


def parse(text: str) -> BatchLayer:
    """Build an augmentation from text such as "mixup:alpha=0.4"; see `AugmentationSpec.parse`.

    Raises:
        ValueError: See `get`; or an option is not KEY=VALUE.
    """
    return build(AugmentationSpec.parse(text))


def register_all() -> None:
    """Import every augmentation, so that Keras can load saved models that contain one.

    Only your own models can: `python -m proxy_keras.train` saves none.
    """
    for name in names():
        import_class(name)
