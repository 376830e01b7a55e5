"""Models that do not take the images of the data are refused before training, not at a step."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from proxy_keras import ProxyAttention
from proxy_keras.data import ImageData


@pytest.fixture(scope="module")
def data():
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
    return ImageData.from_arrays(images, np.arange(60) % 3, progress=False)


def compiled(*shape, outputs=3, begin=lambda x: x):
    keras.utils.set_random_seed(0)
    image = keras.Input(shape)
    x = layers.Conv2D(4, 3, activation="relu")(begin(layers.Rescaling(1 / 255)(image)))
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(outputs)(x))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


class Batches(keras.callbacks.Callback):
    """Counts the batches of training."""

    count = 0

    def on_train_batch_begin(self, batch, logs=None):
        self.count += 1


def fit(model, data, change=None, **options):
    batches = data.train.batches(16)
    if change is not None:
        batches = batches.map(lambda images, labels: (change(images), labels))
    proxy = ProxyAttention(data.train, schedule="p,1", **{"method": "grad_cam"} | options)
    counter = Batches()
    try:
        model.fit(batches, epochs=2, verbose=0, shuffle=False, callbacks=[proxy, counter])
    except ValueError as error:
        assert counter.count == 0
        raise error
    return proxy


GREY = (8, 8, 1), tf.image.rgb_to_grayscale
LARGE = (16, 16, 3), lambda images: tf.image.resize(images, (16, 16))


@pytest.mark.parametrize(("shape", "change"), [GREY, LARGE], ids=["grey", "resized"])
@pytest.mark.parametrize("options", [{}, {"method": "occlusion"}, {"control": "erasing"}])
def test_a_model_for_changed_images_is_refused_before_training(data, shape, change, options):
    words = f"takes images \\[{shape[0]}, .* data have \\[8, 8, 3\\].*into the model"
    with pytest.raises(ValueError, match=words):
        fit(compiled(*shape), data, change, **options)


@pytest.mark.parametrize(("shape", "change"), [GREY, LARGE], ids=["grey", "resized"])
def test_maps_of_training_steps_need_no_originals(data, shape, change):
    proxy = fit(compiled(*shape), data, change, wrong_from="train", select="all")
    assert proxy.steps[0].made > 0


def test_the_change_belongs_into_the_model(data):
    model = compiled(8, 8, 3, begin=lambda x: ops.mean(x, axis=-1, keepdims=True))
    assert fit(model, data, select="all").steps[0].made > 0
    model = compiled(8, 8, 3, begin=layers.Resizing(16, 16))
    assert fit(model, data, select="all").steps[0].made > 0


def test_a_model_with_fewer_outputs_than_classes_is_refused(data):
    with pytest.raises(ValueError, match="has 2 outputs, and the data have 3 classes"):
        fit(compiled(8, 8, 3, outputs=2), data)
    assert fit(compiled(8, 8, 3, outputs=5), data).steps


def test_a_model_for_images_of_any_size_is_refused(data):
    with pytest.raises(ValueError, match="heatmaps have no fixed shape. Build it with keras.Input"):
        fit(compiled(None, None, 3), data)


def test_prepare_refuses_it_without_fit(data):
    proxy = ProxyAttention(data.train, schedule="p,1")
    with pytest.raises(ValueError, match=r"takes images \[8, 8, 1\]"):
        proxy.prepare(compiled(8, 8, 1), epochs=2)
