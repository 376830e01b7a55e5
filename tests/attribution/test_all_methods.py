"""Properties that every method must have: range, repeatability, robustness."""

import gc

import keras
import numpy as np
import pytest
from keras import layers, ops
from tensorflow.python.framework.func_graph import FuncGraph

from proxy_keras.attribution import Explainer, get, names
from proxy_keras.attribution.catalogue import ENGINES
from proxy_keras.attribution.method import GradientMethod

CHEAP = {
    "smooth_grad": {"samples": 4},
    "smooth_grad_squared": {"samples": 4},
    "var_grad": {"samples": 4},
    "integrated_gradients": {"steps": 4},
    "conductance": {"steps": 4},
    "gradient_shap": {"samples": 4},
    "deep_fool": {"max_steps": 5},
    "rise": {"masks": 40},
    "lime": {"samples": 40, "superpixels": 6},
    "sp_lime": {"samples": 40},
    "kernel_shap": {"samples": 40, "superpixels": 6},
}
"""Options that make the slow methods fast; what they compute is tested elsewhere."""

IMAGE_ONLY = {"spectral_residual", "graph_based", "whitening", "dynamic"}
COMPARES_IMAGES = {"sp_lime"}
NEEDS_ATTENTION = {"attention_rollout"}


def _cnn(dtype=None):
    image = keras.Input((16, 16, 3))
    x = layers.Rescaling(1 / 64, dtype=dtype)(image)
    x = layers.Conv2D(6, 3, padding="same", activation="relu", dtype=dtype)(x)
    x = layers.Conv2D(8, 3, strides=2, padding="same", name="conv", dtype=dtype)(x)
    x = layers.BatchNormalization(dtype=dtype)(x)
    x = layers.ReLU(dtype=dtype)(x)
    x = layers.GlobalAveragePooling2D(dtype=dtype)(x)
    return keras.Model(image, layers.Dense(4, name="top", dtype="float32")(x))


def _transformer(dtype=None):
    image = keras.Input((16, 16, 3))
    x = layers.Rescaling(1 / 255, dtype=dtype)(image)
    x = layers.Conv2D(8, 4, strides=4, name="conv", dtype=dtype)(x)
    x = layers.Reshape((16, 8), dtype=dtype)(x)
    for _ in range(2):
        attended = layers.MultiHeadAttention(2, 4, dtype=dtype)(x, x)
        x = layers.LayerNormalization(dtype=dtype)(layers.Add(dtype=dtype)([x, attended]))
    x = layers.GlobalAveragePooling1D(dtype=dtype)(x)
    return keras.Model(image, layers.Dense(4, name="top", dtype="float32")(x))


def _model(method, dtype=None):
    keras.utils.set_random_seed(3)
    return _transformer(dtype) if method in NEEDS_ATTENTION else _cnn(dtype)


@pytest.fixture(scope="module", params=names())
def explained(request):
    """(method, model, explainer) with unchanged weights, shared by all tests of a method."""
    model = _model(request.param)
    return request.param, model, Explainer(model, request.param, **CHEAP.get(request.param, {}))


@pytest.fixture
def images():
    """[7, 16, 16, 3] float32 in [0, 255]: a bright block on noise in each."""
    draw = np.random.default_rng(0)
    result = draw.uniform(0, 60, (7, 16, 16, 3))
    for image, (y, x) in zip(result, draw.integers(0, 10, (7, 2)), strict=True):
        image[y : y + 6, x : x + 6] += draw.uniform(60, 190, 3)
    return result.astype(np.float32)


@pytest.fixture
def changed_weights(explained):
    """Return a function that changes a layer's weights, which are restored at the end."""
    _, model, explainer = explained
    before = model.get_weights()

    def change(name, how):
        layer = model.get_layer(name)
        layer.set_weights([how(weight) for weight in layer.get_weights()])
        explainer.refresh()

    yield change
    model.set_weights(before)
    explainer.refresh()


def _state(model):
    return [ops.convert_to_numpy(variable).tobytes() for variable in model.variables]


def test_maps_are_in_range_and_repeatable_and_do_not_modify_the_model(explained, images):
    _, model, explainer = explained
    before = _state(model)
    logits, heat = explainer.logits_and_heatmaps(images)
    assert heat.dtype == np.float32 and heat.shape == (7, *explainer.map_shape)
    assert heat.min() >= 0.0
    is_blank = heat.max(axis=(1, 2)) == 0
    np.testing.assert_allclose(heat[~is_blank].max(axis=(1, 2)), 1.0, atol=1e-6)
    assert not is_blank.all()
    np.testing.assert_allclose(logits, model(images, training=False), atol=1e-4)
    np.testing.assert_array_equal(explainer.heatmaps(images), heat)
    assert _state(model) == before


def test_a_map_does_not_depend_on_its_batch(explained, images):
    method, _, explainer = explained
    whole = explainer.heatmaps(images)
    single = np.concatenate([explainer.heatmaps(images[i : i + 1]) for i in range(3)])
    if method in COMPARES_IMAGES:
        # The heatmaps of images that are not picked are blank.
        is_kept = whole[:3].max(axis=(1, 2)) > 0
        whole, single = whole[:3][is_kept], single[is_kept]
    np.testing.assert_allclose(single, whole[: len(single)], atol=1e-4)
    assert explainer.heatmaps(images[:0]).shape == (0, *explainer.map_shape)


def test_blank_constant_and_huge_images_give_finite_maps(explained, images):
    _, _, explainer = explained
    batch = np.stack([np.zeros_like(images[0]), np.full_like(images[0], 255.0), images[0] * 1e6])
    heat = explainer.heatmaps(batch)
    assert np.isfinite(heat).all() and heat.min() >= 0.0 and heat.max() <= 1.0


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_huge_logits_give_finite_maps(explained, images, changed_weights, size):
    _, _, explainer = explained
    changed_weights("top", lambda weight: weight * 1e4 + (size if weight.ndim == 1 else 0))
    logits, heat = explainer.logits_and_heatmaps(images[:2])
    assert np.abs(logits).max() > 5e3
    assert np.isfinite(heat).all() and heat.min() >= 0.0 and heat.max() <= 1.0


def test_huge_activations_give_finite_maps(explained, images, changed_weights):
    method, _, explainer = explained
    changed_weights("conv", lambda weight: weight * 1e12)
    heat = explainer.heatmaps(images[:2])
    assert np.isfinite(heat).all() and heat.min() >= 0.0 and heat.max() <= 1.0


def test_a_constant_network_gives_zeros(explained, images, changed_weights):
    method, _, explainer = explained
    before = explainer.heatmaps(images[:2])
    changed_weights("conv", np.zeros_like)
    after = explainer.heatmaps(images[:2])
    if method in IMAGE_ONLY:
        np.testing.assert_array_equal(after, before)
    else:
        assert not after.any()


def test_repeated_calls_do_not_leak_memory(explained, images):
    _, _, explainer = explained

    def graphs():
        gc.collect()
        return sum(isinstance(thing, FuncGraph) for thing in gc.get_objects())

    explainer.heatmaps(images[:2])
    before = graphs()
    for count in (1, 2, 3):
        explainer.heatmaps(images[:count])
    assert graphs() == before


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_models_get_the_maps_of_their_float32_weights(explained, images, policy):
    method, model, explainer = explained
    half = _model(method, dtype=policy)
    half.set_weights(model.get_weights())
    heat = Explainer(half, method, **CHEAP.get(method, {})).heatmaps(images[:2])
    np.testing.assert_allclose(heat, explainer.heatmaps(images[:2]), atol=1e-4)


def test_one_pass_gives_logits_and_maps_for_the_cheap_methods():
    single = {name for name in names() if get(name).single_pass}
    assert single >= {name for name in names() if issubclass(get(name), GradientMethod)}
    assert {"grad_cam", "grad_cam_plus_plus", "layer_cam", "cam", "hires_cam"} <= single
    assert not single & {"score_cam", "rise", "lime", "integrated_gradients"}


def test_every_method_documents_its_source():
    assert ENGINES == ("compiled", "tf-keras-vis")
    for name in names():
        text = get(name).__doc__
        assert text and "Source:" in text, name
