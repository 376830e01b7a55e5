"""AugMix's consistency: a network should answer alike for an image and its augmented views."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from proxy_keras.augment.batch_layer import BatchLayer
from proxy_keras.augment.option_rules import check_count
from proxy_keras.augment.stateless_random import split_seed


def jensen_shannon_loss(logits: tf.Tensor) -> tf.Tensor:
    """The Jensen-Shannon divergence of the answers for the views of each image.

    Args:
        logits: [V, B, K], of V views.

    Returns:
        [B] float32: the mean over the views of KL(p_v || m), m the mean of the views'
        probabilities; in [0, log V], 0 where all answers are the same.

    Source: Hendrycks et al., AugMix (2020), equation 1.
    """
    logits = tf.cast(logits, tf.float32)
    probabilities = tf.nn.softmax(logits)
    mean = tf.clip_by_value(tf.reduce_mean(probabilities, axis=0), 1e-7, 1.0)
    divergences = tf.reduce_sum(
        probabilities * (tf.nn.log_softmax(logits) - tf.math.log(mean)), axis=-1
    )
    return tf.reduce_mean(divergences, axis=0)


class Views:
    """An augmentation that gives each image and two augmented views of it.

    ```python
    batches = data.train.batches(64, one_hot=True, augment=Views(augment.get("augmix")))
    ```

    Args:
        layer: Makes the views. It must keep labels as they are.
        count: Views beside the image, >= 1.

    Raises:
        ValueError: The layer changes labels, or `count` breaks its rule.
    """

    def __init__(self, layer: BatchLayer, count: int = 2) -> None:
        check_count("count", count, 1)
        if not layer.keeps_labels:
            raise ValueError(
                "Views need an augmentation that keeps labels as they are, such as augmix. "
                f"Received: {type(layer).__name__}"
            )
        self._layer = layer
        self._count = count
        self.needs_epoch, self.needs_maps = layer.needs_epoch, layer.needs_maps

    def __call__(
        self, images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, **needed: Any
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """([B, 1 + count, H, W, C], labels) from [B, H, W, C] and labels; `seed` [2] int64.

        What the layer needs, `epoch` or `heatmaps`, is given by name.
        """
        views = [self._layer(images, labels, s, **needed)[0] for s in split_seed(seed, self._count)]
        return tf.stack([images, *views], axis=1), labels


class ConsistentModel(keras.Model):
    """A functional model that is trained on `Views`, with the Jensen-Shannon loss beside its own.

    All views go through the network as one batch; its own loss and its metrics are of the images
    themselves. It is evaluated and asked with plain images.

    ```python
    network = proxy_keras.build_model("resnet20", num_classes=10, image_size=32)
    model = ConsistentModel(network.inputs, network.outputs, consistency=12.0)
    model.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True))
    model.fit(batches)  # as Views makes them
    ```

    Args:
        inputs, outputs: See `keras.Model`.
        consistency: Weight of the Jensen-Shannon loss; the paper has 12.

    Source: Hendrycks et al., AugMix (2020).
    """

    def __init__(self, inputs: Any, outputs: Any, *, consistency: float = 12.0) -> None:
        super().__init__(inputs, outputs)
        self.consistency = consistency

    def train_step(self, data: Any) -> dict[str, Any]:
        """One step on views [B, V, H, W, C]; see `keras.Model`."""
        views, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        shape = tf.shape(views)
        count = views.shape[1]
        in_turn = tf.reshape(
            tf.transpose(views, [1, 0, 2, 3, 4]), tf.concat([[count * shape[0]], shape[2:]], axis=0)
        )
        with tf.GradientTape() as tape:
            answers = self(in_turn, training=True)
            logits = tf.reshape(answers, [count, shape[0], answers.shape[-1]])
            own = self.compute_loss(
                x=views[:, 0], y=labels, y_pred=logits[0], sample_weight=weights
            )
            loss = own + self.consistency * tf.reduce_mean(jensen_shannon_loss(logits))
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        return self._figures(views[:, 0], labels, logits[0], weights, loss)

    def _figures(
        self, images: tf.Tensor, labels: tf.Tensor, logits: tf.Tensor, weights: Any, loss: tf.Tensor
    ) -> dict[str, Any]:
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss, sample_weight=tf.shape(images)[0])
        return self.compute_metrics(images, labels, logits, sample_weight=weights)
