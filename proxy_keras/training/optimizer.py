"""The thesis's optimizer: AdamW with a one-cycle learning rate."""

from __future__ import annotations

import keras

from proxy_keras.training.one_cycle import OneCycle

_PEAK_FACTOR = 2.0


def make_optimizer(
    *,
    lr: float = 1e-3,
    weight_decay: float = 1e-5,
    total_steps: int,
    one_cycle: bool = True,
) -> keras.optimizers.Optimizer:
    """Return AdamW with a learning rate that rises to `2 * lr` and falls again.

    Weight decay also applies to biases and normalisation, as in the thesis. Under `mixed_float16`,
    `compile` wraps the optimizer for loss scaling (`auto_scale_loss`).

    Args:
        lr: Learning rate, > 0.
        weight_decay: Decoupled, scaled by the learning rate, >= 0.
        total_steps: Steps of the whole training run, >= 1.
        one_cycle: False: a constant learning rate.
    Raises:
        ValueError: An argument is outside its range.
    Source: Loshchilov & Hutter, Decoupled Weight Decay Regularization (2017); settings from
        Mukherjee, Proxy Attention (thesis, 2023).
    """
    if lr <= 0.0:
        raise ValueError(f"`lr` must be > 0. Received: lr={lr}")
    if weight_decay < 0.0:
        raise ValueError(f"`weight_decay` must be >= 0. Received: weight_decay={weight_decay}")
    rate = OneCycle(_PEAK_FACTOR * lr, total_steps) if one_cycle else lr
    # A fixed name: variable names then do not depend on earlier optimizers.
    return keras.optimizers.AdamW(rate, weight_decay=weight_decay, name="adamw")
