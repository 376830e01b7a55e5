"""Explainer and `explain`: any batch, dtype and policy; the model is not modified."""

import gc

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from proxy_keras.attribution import Explainer, explain
from proxy_keras.attribution.target import class_weights
from proxy_keras.heatmaps import scaling

GRADIENT_METHODS = ["grad_cam", "grad_cam_plus_plus", "layer_cam"]
REFERENCE_METHODS = [*GRADIENT_METHODS, "score_cam", "faster_score_cam", "saliency", "smooth_grad"]
POLICIES = ["float32", "mixed_float16", "mixed_bfloat16"]


def scaled(maps):
    low = maps.min(axis=(1, 2), keepdims=True)
    span = maps.max(axis=(1, 2), keepdims=True) - low
    return (maps - low) / np.where(span == 0, 1, span)


def test_grad_cam_of_gap_and_dense_is_the_closed_form(build_cnn, images):
    model = build_cnn()
    activations = np.asarray(keras.Model(model.input, model.get_layer("relu").output)(images))
    kernel = model.get_layer("top").get_weights()[0]
    logits, heat = Explainer(model, "grad_cam").logits_and_heatmaps(images)
    # The mean gradient of logit c to a map is kernel[:, c] / (h * w).
    rows = kernel.T[logits.argmax(axis=1)]
    expected = scaled(np.maximum(np.einsum("bhwd,bd->bhw", activations, rows), 0))
    np.testing.assert_allclose(heat, expected, atol=1e-5)
    np.testing.assert_allclose(logits, model(images, training=False), atol=1e-5)


@pytest.mark.parametrize("method", ["grad_cam", "layer_cam"])
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("mode", ["predicted", "true", "contrast"])
def test_both_engines_agree(build_cnn, images, method, policy, mode):
    keras.config.set_dtype_policy(policy)
    model = build_cnn()
    labels = np.arange(7) % 4
    ours = Explainer(model, method, explain=mode)
    theirs = Explainer(model, method, explain=mode, engine="tf-keras-vis")
    heat = ours.heatmaps(images, labels)
    np.testing.assert_allclose(heat, theirs.heatmaps(images, labels), atol=1e-5)
    assert heat.max() == 1.0
    assert keras.config.dtype_policy().name == policy


@pytest.mark.parametrize("method", ["grad_cam", "layer_cam"])
def test_both_engines_agree_on_a_transformer(build_vit, method):
    model = build_vit()
    images = np.random.default_rng(0).uniform(0, 1, (3, 32, 32, 3)).astype(np.float32)
    ours = Explainer(model, method)
    assert ours.map_shape == (4, 4)
    heat = ours.heatmaps(images)
    assert (heat.max(axis=(1, 2)) == 1).all()
    theirs = Explainer(model, method, engine="tf-keras-vis")
    np.testing.assert_allclose(heat, theirs.heatmaps(images), atol=1e-5)


def test_a_class_token_gets_its_gradient_through_attention_only(build_vit):
    model = build_vit(pooling="token")
    images = np.random.default_rng(0).uniform(0, 1, (2, 32, 32, 3)).astype(np.float32)
    # After the last block no patch affects the class token: the map is blank.
    after = Explainer(model, "grad_cam", target_layer="transformer_block_2")
    assert after.heatmaps(images).max() == 0
    assert Explainer(model, "grad_cam").heatmaps(images).max() == 1


def test_any_real_dtype_of_images_is_taken(build_cnn, images):
    explainer = Explainer(build_cnn(), "grad_cam")
    whole = images.round()
    expected = explainer.heatmaps(whole)
    for dtype in ("uint8", "int32", "float64", "float16"):
        np.testing.assert_allclose(explainer.heatmaps(whole.astype(dtype)), expected, atol=1e-5)
    np.testing.assert_array_equal(explainer.heatmaps(tf.constant(whole)), expected)


def test_a_diverged_model_is_an_error_and_not_a_map_of_nan(build_cnn, images):
    model = build_cnn()
    model.get_layer("conv2").bias.assign(np.full(12, np.nan))
    with pytest.raises(FloatingPointError, match="7 of 7 logits are not finite.*'relu'"):
        Explainer(model, "grad_cam").heatmaps(images)
    with pytest.raises(FloatingPointError, match="7 of 7 logits are not finite"):
        Explainer(model, "score_cam").logits(images)


def test_overflow_of_tf_keras_vis_is_told(build_cnn, images):
    model = build_cnn()
    model.get_layer("top").bias.assign(np.full(4, 200.0))
    with pytest.raises(RuntimeError, match=r"computes exp\(logit\).*engine='compiled'"):
        Explainer(model, "grad_cam_plus_plus", engine="tf-keras-vis").heatmaps(images)
    assert Explainer(model, "grad_cam_plus_plus").heatmaps(images).max() == 1


def test_attribution_does_not_modify_model_or_optimizer(build_cnn, images):
    model = build_cnn()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, np.arange(7) % 4, epochs=1, verbose=0)
    model.get_layer("conv1").trainable = False
    variables = [*model.variables, *model.optimizer.variables]

    def state():
        return [ops.convert_to_numpy(variable).tobytes() for variable in variables]

    before = state()
    parts = model._flatten_layers()
    nodes = [(len(part._inbound_nodes), part.trainable) for part in parts]
    for method in REFERENCE_METHODS:
        for engine in ("compiled", "tf-keras-vis"):
            explainer = Explainer(model, method, engine=engine)
            explainer.refresh()
            explainer.heatmaps(images)
    assert state() == before
    assert [(len(part._inbound_nodes), part.trainable) for part in parts] == nodes


def test_refresh_brings_the_copy_up_to_date(build_cnn, images):
    model = build_cnn()
    explainer = Explainer(model, "grad_cam")
    before = explainer.heatmaps(images)
    model.get_layer("top").kernel.assign(-model.get_layer("top").kernel)
    np.testing.assert_array_equal(explainer.heatmaps(images), before)
    explainer.refresh()
    after = explainer.heatmaps(images)
    assert np.abs(after - before).max() > 0.1
    np.testing.assert_array_equal(after, Explainer(model, "grad_cam").heatmaps(images))
    np.testing.assert_allclose(explainer.logits(images), model(images), atol=1e-5)


def test_explained_class_follows_the_mode():
    logits = tf.constant([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])
    labels = tf.constant([2, 0])
    np.testing.assert_array_equal(
        class_weights(logits, labels, "predicted"), [[0, 1, 0], [1, 0, 0]]
    )
    np.testing.assert_array_equal(class_weights(logits, labels, "true"), [[0, 0, 1], [1, 0, 0]])
    np.testing.assert_array_equal(
        class_weights(logits, labels, "contrast"), [[0, 1, -1], [1, 0, 0]]
    )


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 1000), classes=st.integers(2, 6))
def test_contrast_is_predicted_minus_true_or_that_class(seed, classes):
    rng = np.random.default_rng(seed)
    logits = tf.constant(rng.normal(size=(5, classes)), tf.float32)
    labels = tf.constant(rng.integers(0, classes, 5), tf.int32)
    weights = class_weights(logits, labels, "contrast").numpy()
    for row, label, weight in zip(logits.numpy(), labels.numpy(), weights, strict=True):
        expected = np.eye(classes)[row.argmax()]
        if row.argmax() != label:
            expected = expected - np.eye(classes)[label]
        np.testing.assert_array_equal(weight, expected)


def test_smoothing_is_that_of_heatmaps(build_cnn, images):
    model = build_cnn()
    sharp = Explainer(model, "grad_cam").heatmaps(images)
    expected = scaling.normalise(scaling.smooth(sharp, 1.5))
    got = Explainer(model, "grad_cam", smooth=1.5).heatmaps(images)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    assert np.abs(got - sharp).max() > 0.05


def test_a_model_for_images_of_any_size(images):
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, strides=2, activation="relu")(image)
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    explainer = Explainer(model, "faster_score_cam")
    assert explainer.heatmaps(images).shape == (7, 7, 7)
    assert explainer.heatmaps(images[:, :10]).shape == (7, 4, 7)
    with pytest.raises(ValueError, match="no fixed shape"):
        _ = explainer.map_shape


def test_nested_model_gives_the_maps_of_the_flat_one(build_cnn, images):
    flat = build_cnn()
    backbone = keras.Model(flat.input, flat.get_layer("relu").output, name="backbone")
    nested = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            backbone,
            layers.GlobalAveragePooling2D(),
            flat.get_layer("top"),
        ]
    )
    # Methods that use the target layer, single layers, and single operations.
    for method in ("grad_cam", "cam", "score_cam", "conductance", "guided_backprop", "lrp"):
        explainer = Explainer(nested, method)
        assert explainer.target_layer in ("relu", None)
        np.testing.assert_allclose(
            explainer.heatmaps(images), Explainer(flat, method).heatmaps(images), atol=1e-5
        )


def test_a_layer_inside_a_residual_branch_agrees_with_tf_keras_vis(images):
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(6, 3, padding="same", activation="relu")(image)
    branch = layers.Conv2D(6, 3, padding="same", activation="relu", name="branch")(x)
    x = layers.ReLU()(layers.Conv2D(6, 3, padding="same")(branch) + x)
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    ours = Explainer(model, "layer_cam", target_layer="branch").heatmaps(images)
    theirs = Explainer(model, "layer_cam", target_layer="branch", engine="tf-keras-vis").heatmaps(
        images
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert np.abs(ours - Explainer(model, "layer_cam").heatmaps(images)).max() > 0.1


def test_explainers_are_freed(build_cnn, images):
    def alive():
        keras.backend.clear_session(free_memory=True)
        gc.collect()
        return sum(isinstance(thing, Explainer) for thing in gc.get_objects())

    model = build_cnn()
    Explainer(model, "grad_cam").heatmaps(images)
    # Not 0 if another test used shap, which keeps a reference to its last model.
    before = alive()
    for _ in range(2):
        Explainer(model, "grad_cam").heatmaps(images)
        assert alive() == before


def test_under_a_mirrored_strategy(build_cnn, images, mirrored):
    with mirrored.scope():
        model = build_cnn()
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    explainer = Explainer(model, "grad_cam")
    model.fit(images[:6], np.arange(6) % 4, batch_size=6, epochs=1, verbose=0)
    explainer.refresh()
    twin = build_cnn()
    for source, target in zip(model.weights, twin.weights, strict=True):
        target.assign(ops.convert_to_numpy(source))
    np.testing.assert_allclose(
        explainer.heatmaps(images), Explainer(twin, "grad_cam").heatmaps(images), atol=1e-5
    )


class TestRefused:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"explain": "wrong"}, r"`explain` must be one of .*Received: 'wrong'"),
            ({"engine": "eager"}, r"`engine` must be one of .*Received: 'eager'"),
            ({"smooth": -1.0}, "`smooth` must be >= 0"),
            ({"method": "cam9"}, "Unknown attribution method 'cam9'"),
            ({"channels": 3}, "no option channels"),
            ({"target_layer": "top"}, "target_layer='relu'"),
            ({"target_layer": "conv9"}, "No layer is named 'conv9'"),
        ],
    )
    def test_arguments(self, build_cnn, arguments, message):
        with pytest.raises(ValueError, match=message):
            Explainer(build_cnn(), **arguments)

    @pytest.mark.parametrize(
        ("shape", "message"),
        [
            ((16, 16, 3), r"pass images\[None\]"),
            ((2, 15, 16, 3), r"takes images \(16, 16, 3\)"),
            ((2, 16, 16, 1), r"takes images \(16, 16, 3\)"),
        ],
    )
    def test_images(self, build_cnn, shape, message):
        with pytest.raises(ValueError, match=message):
            Explainer(build_cnn()).heatmaps(np.zeros(shape, np.float32))

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            (None, "needs `labels`"),
            ([0, 1], "must be 7 integers"),
            (np.zeros((7, 4), int), "pass their argmax"),
            (np.zeros(7, np.float32), "dtype float32"),
            ([0, 1, 2, 3, 4, 0, 0], r"must be in \[0, 4\)"),
            ([0, 1, 2, 3, -1, 0, 0], r"must be in \[0, 4\)"),
        ],
    )
    def test_labels(self, build_cnn, images, labels, message):
        with pytest.raises(ValueError, match=message):
            Explainer(build_cnn(), explain="true").heatmaps(images, labels)


class TestExplain:
    def test_default_is_the_predicted_class_at_the_layers_resolution(self, build_cnn, images):
        model = build_cnn()
        expected = Explainer(model).heatmaps(images)
        np.testing.assert_array_equal(explain(model, images), expected)
        np.testing.assert_allclose(explain(model, images, batch_size=3), expected, atol=1e-6)

    def test_class_ids_choose_the_class(self, build_cnn, images):
        model = build_cnn()
        explainer = Explainer(model, "grad_cam", explain="true")
        ids = np.arange(7) % 4
        np.testing.assert_array_equal(
            explain(model, images, "grad_cam", class_ids=ids), explainer.heatmaps(images, ids)
        )
        np.testing.assert_allclose(
            explain(model, images, "grad_cam", class_ids=2, batch_size=4),
            explainer.heatmaps(images, np.full(7, 2)),
            atol=1e-6,
        )

    def test_size_enlarges_with_half_pixel_centres(self, build_cnn, images):
        model = build_cnn()
        small = explain(model, images, "layer_cam")
        for size, target in (("image", (16, 16)), ((5, 24), (5, 24))):
            got = explain(model, images, "layer_cam", size=size)
            assert got.shape == (7, *target)
            np.testing.assert_allclose(got, scaling.enlarge(small, target), atol=1e-6)

    def test_options_and_no_images(self, build_cnn, images):
        model = build_cnn()
        got = explain(model, images, "faster_score_cam", channels=2, smooth=0.5)
        assert got.shape == (7, 8, 8)
        assert explain(model, images[:0], size="image").shape == (0, 16, 16)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"batch_size": 0}, "`batch_size` must be >= 1"),
            ({"size": (0, 4)}, "`size` must be None, 'image' or"),
            ({"size": "big"}, "`size` must be None, 'image' or"),
        ],
    )
    def test_bad_arguments_are_refused(self, build_cnn, images, arguments, message):
        with pytest.raises(ValueError, match=message):
            explain(build_cnn(), images, **arguments)

    def test_a_single_image_is_refused(self, build_cnn, images):
        with pytest.raises(ValueError, match=r"pass images\[None\]"):
            explain(build_cnn(), images[0])
