"""DeepFool: closed form on a linear model, flipped classes, and smaller changes than FGSM."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from proxy_keras.attribution import Explainer
from proxy_keras.attribution.deep_fool import DeepFool
from proxy_keras.attribution.split_network import Network
from proxy_keras.graph import FlatClone


def perturb(model, images, **options):
    """Logits and changes of the images."""
    network = Network(FlatClone(model), None)
    method = DeepFool(**options)
    logits, changes = tf.function(method.perturb)(network, tf.constant(images))
    return logits.numpy(), changes.numpy()


def norms(changes):
    return np.linalg.norm(changes.reshape(len(changes), -1), axis=1)


def linear_model(kernel, bias):
    image = keras.Input((2, 3, 2))
    model = keras.Model(image, layers.Dense(kernel.shape[1])(layers.Flatten()(image)))
    model.layers[-1].set_weights([kernel, bias])
    return model


def test_of_a_linear_net_is_the_step_to_the_nearest_of_all_boundaries():
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(12, 5)), rng.normal(size=5)
    images = rng.normal(size=(6, 2, 3, 2)).astype(np.float32)
    logits, changes = perturb(linear_model(kernel, bias), images, overshoot=0.0)
    for image, row, change in zip(images, logits, changes, strict=True):
        own = row.argmax()
        normals = np.delete(kernel, own, axis=1) - kernel[:, own : own + 1]
        gaps = row[own] - np.delete(row, own)
        nearest = (gaps / np.linalg.norm(normals, axis=0)).argmin()
        normal = normals[:, nearest]
        expected = gaps[nearest] / (normal @ normal) * normal
        np.testing.assert_allclose(change.ravel(), expected, atol=1e-3)
        flipped = (image + 1.001 * change).ravel() @ kernel + bias
        assert flipped.argmax() != own


def smallest_fgsm_norms(model, images):
    """Return the norm of the smallest FGSM step that flips each image."""
    labels = model.predict(images, verbose=0).argmax(axis=1)
    with tf.GradientTape() as tape:
        inputs = tf.constant(images)
        tape.watch(inputs)
        loss = keras.losses.sparse_categorical_crossentropy(
            labels, model(inputs, training=False), from_logits=True
        )
    signs = np.sign(tape.gradient(loss, inputs).numpy())
    steps = np.geomspace(0.01, 500, 60, dtype=np.float32)
    changes = steps[:, None, None, None, None] * signs
    flat = (images + changes).reshape(-1, *images.shape[1:])
    classes = model.predict(flat, verbose=0, batch_size=256).argmax(axis=1)
    is_flipped = classes.reshape(len(steps), -1) != labels
    lengths = np.linalg.norm(changes.reshape(*is_flipped.shape, -1), axis=2)
    return np.where(is_flipped, lengths, np.inf).min(axis=0)


def test_it_flips_the_class_with_less_change_than_fgsm(build_cnn, images):
    model = build_cnn()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, np.arange(7) % 4, epochs=20, verbose=0)
    logits, changes = perturb(model, images)
    flipped = model.predict(images + changes, verbose=0)
    assert (flipped.argmax(axis=1) != logits.argmax(axis=1)).all()
    fgsm = smallest_fgsm_norms(model, images)
    assert np.isfinite(fgsm).any()
    assert (norms(changes) <= fgsm).all()
    heat = Explainer(model, "deep_fool").heatmaps(images)
    length = np.linalg.norm(changes, axis=-1)
    low = length.min(axis=(1, 2), keepdims=True)
    expected = (length - low) / (length.max(axis=(1, 2), keepdims=True) - low)
    np.testing.assert_allclose(heat, expected, atol=1e-4)


def test_the_score_to_explain_plays_no_part(build_cnn, images):
    model = build_cnn()
    np.testing.assert_array_equal(
        Explainer(model, "deep_fool").heatmaps(images),
        Explainer(model, "deep_fool", explain="true").heatmaps(images, np.arange(7) % 4),
    )


def test_only_the_nearest_classes_are_candidates():
    # Class 0 is predicted at the origin; class 2 is the nearest in space, class 1 in logits.
    kernel = np.zeros((12, 3))
    kernel[0, 1], kernel[1, 2] = 1.0, 100.0
    model = linear_model(kernel, np.array([1.0, 0.5, 0.0]))
    image = np.zeros((1, 2, 3, 2), np.float32)
    assert perturb(model, image, classes=2)[1].ravel()[:2].argmax() == 1
    assert perturb(model, image, classes=1)[1].ravel()[:2].argmax() == 0


def test_steps_are_limited_and_end_for_images_that_cannot_flip(build_cnn, images):
    model = build_cnn()
    one = perturb(model, images, max_steps=1)[1]
    assert norms(one).min() > 0
    assert not np.array_equal(one, perturb(model, images, max_steps=50)[1])
    model.get_layer("conv2").set_weights([np.zeros((3, 3, 8, 12)), np.zeros(12)])
    assert not perturb(model, images, max_steps=10**9)[1].any()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"overshoot": -0.1}, "`overshoot` must be >= 0"),
        ({"max_steps": 0}, "`max_steps` must be >= 1"),
        ({"classes": 0}, "`classes` must be >= 1"),
    ],
)
def test_options_outside_their_range_are_refused(build_cnn, option, message):
    with pytest.raises(ValueError, match=message):
        Explainer(build_cnn(), "deep_fool", **option)
