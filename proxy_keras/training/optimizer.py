"""The thesis's optimizer: AdamW under one cycle."""

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
    """Returns AdamW, with a learning rate that rises to `2 * lr` and falls again.

    Weight decay takes in biases and normalisation too, as in the thesis. Under the policy
    `mixed_float16` Keras scales the loss by itself: `compile` wraps the optimizer
    (`auto_scale_loss`).

    Args:
        lr: Learning rate, > 0.
        weight_decay: Decoupled, scaled by the learning rate, >= 0.
        total_steps: Steps of the whole training, >= 1.
        one_cycle: Else the learning rate is constant.
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
    # A given name, so that variables are called the same however many optimizers came before.
    return keras.optimizers.AdamW(rate, weight_decay=weight_decay, name="adamw")
