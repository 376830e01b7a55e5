"""Common behaviour of methods that mask images: chunks, progress, and score changes."""

import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from proxy_keras.attribution import Explainer
from proxy_keras.attribution.masking import ScoredImages
from proxy_keras.attribution.rise import RISE
from proxy_keras.attribution.split_network import CompiledNetwork, Network
from proxy_keras.attribution.target import Score
from proxy_keras.graph import FlatClone

OPTIONS = {
    "occlusion": {},
    "rise": {"masks": 50},
    "lime": {"superpixels": 9, "samples": 50},
    "sp_lime": {"superpixels": 9, "samples": 50},
    "kernel_shap": {"superpixels": 9, "samples": 50},
    "score_cam": {},
    "layer_score_cam": {},
    "ablation_cam": {},
}


@pytest.fixture
def model():
    """A model with a nonlinear head, so that every method has to run it."""
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(12, 3, strides=2, activation="relu")(layers.Rescaling(1 / 64)(image))
    x = layers.Dense(5, activation="tanh")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, layers.Dense(4)(x))


@pytest.mark.parametrize("method", OPTIONS)
def test_no_pass_takes_more_copies_than_a_chunk(model, images, method, monkeypatch):
    rows = {"logits": [], "run_head": []}

    def counted(name):
        plain = getattr(CompiledNetwork, name)

        def call(self, values, *rest):
            rows[name].append(values.shape[0])
            return plain(self, values, *rest)

        return call

    for name in rows:
        monkeypatch.setattr(CompiledNetwork, name, counted(name))
    Explainer(model, method, chunk_size=9, **OPTIONS[method]).heatmaps(images)
    # Apart from the batch of 7 itself, which runs first.
    asked = rows["run_head" if method in ("layer_score_cam", "ablation_cam") else "logits"]
    assert max(asked) == 9
    # Chunks span images, so that all but the last are full; shap runs image by image: the empty
    # coalition, the full one, and then the others.
    assert sum(size not in (7, 9) for size in asked) <= (3 * 7 if method == "kernel_shap" else 1)


@pytest.mark.parametrize("method", OPTIONS)
def test_progress_is_shown_if_requested_in_a_terminal(model, images, method, capsys, monkeypatch):
    Explainer(model, method, progress=True, **OPTIONS[method]).heatmaps(images[:1])
    assert "it/s]" not in capsys.readouterr().err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    for progress in (False, True):
        explainer = Explainer(model, method, progress=progress, **OPTIONS[method])
        explainer.heatmaps(images[:1])
        assert ("it/s]" in capsys.readouterr().err) == progress


@pytest.mark.parametrize("method", ["occlusion", "rise", "lime", "sp_lime", "kernel_shap"])
def test_heatmaps_repeat_bit_for_bit(model, images, method):
    explainers = [Explainer(model, method, **OPTIONS[method]) for _ in range(2)]
    first = explainers[0].heatmaps(images)
    np.testing.assert_array_equal(explainers[0].heatmaps(images), first)
    np.testing.assert_array_equal(explainers[1].heatmaps(images), first)


class TestChanges:
    def changes(self, model, images, function=None):
        """Return changes [N] when each image is masked by its mean, by a score of all classes."""
        network = Network(FlatClone(model), None).compiled
        score = Score(function or tf.one_hot([0] * len(images), 4))
        scored = ScoredImages.of(network, tf.constant(images), lambda _: score)
        blank = RISE(chunk_size=3).score_changes(
            scored, tf.range(len(images)), lambda rows: tf.zeros([len(rows), 16, 16])
        )
        return blank.numpy()

    def test_they_are_of_the_probability(self, model, images):
        means = np.broadcast_to(images.mean(axis=(1, 2), keepdims=True), images.shape)
        before, after = (
            np.asarray(ops.softmax(model(batch, training=False)))[:, 0] for batch in (images, means)
        )
        np.testing.assert_allclose(self.changes(model, images), after - before, atol=1e-6)

    @pytest.mark.parametrize("explain", ["class", "contrast"])
    def test_what_may_be_rounding_of_the_logits_is_no_change(self, explain):
        start = np.array([[300.0, 300.0, 0.0]], np.float32)
        # A unit in the last place, which changes the probability by 8e-6, and a true change.
        answers = np.repeat(start, 3, axis=0)
        answers[1, 0] = np.nextafter(np.float32(300), np.float32(301))
        answers[2, 0] += 0.01
        weights = [1.0, 0.0, 0.0] if explain == "class" else [1.0, -1.0, 0.0]
        network = SimpleNamespace(logits=lambda masked: tf.constant(answers[: masked.shape[0]]))
        scored = ScoredImages(
            network, tf.zeros([1, 2, 2, 1]), tf.constant(start), Score(tf.constant([weights]))
        )
        got = RISE().score_changes(scored, tf.zeros([3], tf.int32), lambda rows: tf.ones([3, 2, 2]))
        slope = 0.25 if explain == "class" else 0.5
        np.testing.assert_allclose(got, [0, 0, 0.01 * slope], rtol=0.02)
        assert not got[:2].numpy().any()

    def test_a_function_without_a_gradient_will_do(self, model, images):
        def ranks(logits):
            return tf.constant(np.argmax(logits.numpy(), axis=1), tf.float32)

        means = np.broadcast_to(images.mean(axis=(1, 2), keepdims=True), images.shape)
        before, after = (np.asarray(model(batch)).argmax(axis=1) for batch in (images, means))
        np.testing.assert_array_equal(self.changes(model, images, ranks), after - before)

    def test_a_function_whose_gradient_is_not_finite_will_do(self, model, images):
        def root(logits):
            return tf.sqrt(tf.nn.relu(logits[:, 0] * 0.0)) + logits[:, 1]

        assert np.isfinite(self.changes(model, images, root)).all()
        assert self.changes(model, images, root).any()
