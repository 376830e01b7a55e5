"""Networks for integer images are explained as those for float images, or refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from proxy_keras.attribution import Explainer

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
OF_IMAGE_GRADIENTS = (
    "saliency",
    "deconvnet",
    "guided_backprop",
    "guided_grad_cam",
    "smooth_grad",
    "smooth_grad_squared",
    "var_grad",
    "integrated_gradients",
    "gradient_shap",
    "deep_fool",
)


def network(dtype="float32", begin=None, end=lambda x: x):
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3), dtype=dtype)
    x = (begin or layers.Rescaling(1 / 255))(image)
    for _ in range(2):
        x = layers.Conv2D(6, 3, activation="relu", padding="same")(x)
    return keras.Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D()(end(x))))


BEGINS = {
    "rescaling": layers.Rescaling(1 / 255),
    "cast": lambda x: ops.cast(x, "float32") / 255,
    "division": lambda x: x / 255,
    "resizing": lambda x: layers.Rescaling(1 / 255)(layers.Resizing(16, 16)(x)),
    "nested": lambda x: keras.Sequential(
        [keras.Input((16, 16, 3), dtype="uint8"), layers.Rescaling(1 / 255)]
    )(x),
}


@pytest.mark.parametrize("method", [*OF_IMAGE_GRADIENTS, "deep_lift", "occlusion", "rise"])
def test_integer_inputs_get_the_maps_of_float_inputs(method):
    expected = Explainer(network(), method).heatmaps(IMAGES)
    assert expected.max() == 1
    found = Explainer(network("uint8"), method).heatmaps(IMAGES)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("begin", "dtype"),
    [*((begin, "uint8") for begin in BEGINS.values()), (BEGINS["cast"], "int32")],
    ids=[*BEGINS, "cast of int32"],
)
def test_integer_inputs_are_converted_in_any_way(begin, dtype):
    model = network(dtype, begin)
    explainer = Explainer(model, "saliency")
    np.testing.assert_allclose(explainer.logits(IMAGES), model(IMAGES.astype(dtype)), atol=1e-4)
    np.testing.assert_allclose(
        explainer.heatmaps(IMAGES), Explainer(network(), "saliency").heatmaps(IMAGES), atol=1e-4
    )


STEPS = {
    "cast": lambda x: layers.Rescaling(1 / 255)(ops.cast(x, "int32")),
    "round": lambda x: ops.round(x) / 255,
    "embedding": lambda x: ops.mean(layers.Embedding(256, 3)(x), axis=-2),
}


@pytest.mark.parametrize("method", OF_IMAGE_GRADIENTS)
@pytest.mark.parametrize("begin", STEPS.values(), ids=STEPS)
def test_methods_whose_gradients_would_be_zero_are_refused(begin, method):
    model = network("uint8" if begin is STEPS["embedding"] else "float32", begin)
    with pytest.raises(ValueError, match=f"'{method}' needs gradients of the image.*zero.*rise"):
        Explainer(model, method)


def test_integers_after_the_target_layer_are_refused():
    model = network(end=lambda x: ops.round(x))
    with pytest.raises(ValueError, match="'grad_cam' needs gradients of the target layer"):
        Explainer(model, "grad_cam", target_layer=model.layers[-4].name)
    Explainer(model, "eigen_cam", target_layer=model.layers[-4].name)


@pytest.fixture
def exported(tmp_path):
    """A network, and its export in a TFSMLayer."""
    model = network()
    model.export(tmp_path / "exported", verbose=False)
    image = keras.Input((16, 16, 3))
    inner = layers.TFSMLayer(str(tmp_path / "exported"), call_endpoint="serve")
    return model, keras.Model(image, inner(image))


@pytest.mark.parametrize("method", ["saliency", "integrated_gradients", "occlusion"])
def test_a_saved_model_is_explained_by_its_images(exported, method):
    model, wrapped = exported
    expected, found = (Explainer(one, method) for one in (model, wrapped))
    np.testing.assert_allclose(found.logits(IMAGES), expected.logits(IMAGES), atol=1e-4)
    np.testing.assert_allclose(found.heatmaps(IMAGES), expected.heatmaps(IMAGES), atol=1e-3)


def test_a_saved_model_has_no_target_layer(exported):
    with pytest.raises(ValueError, match="a TFSMLayer hides the layers.*saliency, occlusion or ri"):
        Explainer(exported[1], "grad_cam")


def test_operations_without_gradients_are_named():
    model = network(
        begin=lambda x: layers.Lambda(lambda t: tf.image.adjust_contrast(t / 255, 2.0))(x)
    )
    for method in ("saliency", "deep_fool", "guided_backprop"):
        with pytest.raises(ValueError, match=f"'{method}' needs .*AdjustContrastv2.*keras.ops"):
            Explainer(model, method).heatmaps(IMAGES)
    for method in ("grad_cam", "rise"):
        assert Explainer(model, method).heatmaps(IMAGES).max() == 1


def test_integer_arithmetic_is_that_of_the_model():
    # 200 * 2 wraps around in uint8.
    model = network("uint8", lambda x: ops.cast(x * 2, "float32") / 255)
    explainer = Explainer(model, "occlusion")
    np.testing.assert_allclose(explainer.logits(IMAGES), model(IMAGES), atol=1e-4)
