"""AugMix's consistency loss: similar predictions for an image and its augmented views."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from proxy_keras.augment.batch_layer import BatchLayer
from proxy_keras.augment.option_rules import check_count
from proxy_keras.augment.stateless_random import split_seed


def jensen_shannon_loss(logits: tf.Tensor) -> tf.Tensor:
    """Compute the Jensen-Shannon divergence of the predictions for the views of each image.

    Args:
        logits: [V, B, K], of V views.

    Returns:
        [B] float32: the mean over the views of KL(p_v || m), where m is the mean of the views'
        probabilities; in [0, log V], 0 where all predictions are equal.

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
    """An augmentation that returns each image with two augmented views of it.

    ```python
    batches = data.train.batches(64, one_hot=True, augment=Views(augment.get("augmix")))
    ```

    Args:
        layer: Creates the views. It must not change labels.
        count: Number of augmented views, >= 1.

    Raises:
        ValueError: The layer changes labels, or `count` is not a whole number >= 1.
    """

    def __init__(self, layer: BatchLayer, count: int = 2) -> None:
        check_count("count", count, 1)
        if not layer.keeps_labels:
            raise ValueError(
                "Views needs an augmentation that does not change labels, such as augmix. "
                f"Received: {type(layer).__name__}"
            )
        self._layer = layer
        self._count = count
        self.needs_epoch, self.needs_maps = layer.needs_epoch, layer.needs_maps

    def __call__(
        self, images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, **needed: Any
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return ([B, 1 + count, H, W, C], labels) for images [B, H, W, C]; `seed` [2] int64.

        `epoch` and `heatmaps` are passed by name if the layer needs them.
        """
        views = [self._layer(images, labels, s, **needed)[0] for s in split_seed(seed, self._count)]
        return tf.stack([images, *views], axis=1), labels


class ConsistentModel(keras.Model):
    """A functional model trained on `Views`, with the Jensen-Shannon loss added to its own.

    All views go through the network as one batch; its own loss and metrics only see the original
    images. Evaluation and prediction take plain images.

    ```python
    network = proxy_keras.build_model("resnet20", num_classes=10, image_size=32)
    model = ConsistentModel(network.inputs, network.outputs, consistency=12.0)
    model.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True))
    model.fit(batches)  # augmented by Views
    ```

    Args:
        inputs, outputs: See `keras.Model`.
        consistency: Weight of the Jensen-Shannon loss; 12 in the paper.

    Source: Hendrycks et al., AugMix (2020).
    """

    def __init__(self, inputs: Any, outputs: Any, *, consistency: float = 12.0) -> None:
        super().__init__(inputs, outputs)
        self.consistency = consistency

    def train_step(self, data: Any) -> dict[str, Any]:
        """Train on one batch of views [B, V, H, W, C]; see `keras.Model`."""
        views, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        shape = tf.shape(views)
        count = views.shape[1]
        flat = tf.reshape(
            tf.transpose(views, [1, 0, 2, 3, 4]), tf.concat([[count * shape[0]], shape[2:]], axis=0)
        )
        with tf.GradientTape() as tape:
            outputs = self(flat, training=True)
            logits = tf.reshape(outputs, [count, shape[0], outputs.shape[-1]])
            own = self.compute_loss(
                x=views[:, 0], y=labels, y_pred=logits[0], sample_weight=weights
            )
            loss = own + self.consistency * tf.reduce_mean(jensen_shannon_loss(logits))
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss, sample_weight=shape[0])
        return self.compute_metrics(views[:, 0], labels, logits[0], sample_weight=weights)
