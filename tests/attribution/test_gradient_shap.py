"""GradientSHAP against shap and exact Shapley values; sums are preserved."""

import itertools
import math
import warnings

import keras
import numpy as np
import pytest
from keras import layers

from proxy_keras.attribution import Explainer


def quadratic_model(matrix):
    """Logit 0 is x'Mx of the flattened image [1, n, 1], logit 1 is 0."""
    size = len(matrix)
    image = keras.Input((1, size, 1))
    flat = layers.Flatten()(image)
    inner = layers.Dense(size, use_bias=False)
    product = layers.Multiply()([flat, inner(flat)])
    top = layers.Dense(2, use_bias=False)
    model = keras.Model(image, top(product))
    inner.set_weights([matrix])
    top.set_weights([np.stack([np.ones(size), np.zeros(size)], axis=1)])
    return model


def shapley_values(model, image, reference):
    """Exact values over all subsets of pixels; the other pixels have the reference's values."""
    size = image.shape[1]
    subsets = np.array(list(itertools.product([False, True], repeat=size)))
    masked = np.where(subsets[:, None, :, None], image, reference).astype(np.float32)
    values = dict(zip(map(tuple, subsets), model.predict(masked, verbose=0)[:, 0], strict=True))
    result = np.zeros(size)
    for subset, value in values.items():
        inside = sum(subset)
        for place in range(size):
            if not subset[place]:
                joined = (*subset[:place], True, *subset[place + 1 :])
                share = math.factorial(inside) * math.factorial(size - inside - 1)
                result[place] += share / math.factorial(size) * (values[joined] - value)
    return result


def test_of_a_quadratic_score_are_the_exact_shapley_values():
    rng = np.random.default_rng(0)
    model = quadratic_model(rng.normal(size=(5, 5)).astype(np.float32))
    image = rng.uniform(0, 1, (1, 1, 5, 1)).astype(np.float32)
    background = rng.uniform(0, 1, (4, 1, 5, 1)).astype(np.float32)
    expected = np.mean([shapley_values(model, image[0], one) for one in background], axis=0)
    got = Explainer(
        model,
        "gradient_shap",
        explain=lambda logits: logits[:, 0],
        samples=4000,
        background=background,
    ).attributions(image)
    np.testing.assert_allclose(got.ravel(), expected, atol=0.01 * np.abs(expected).max())


def smooth_cnn():
    image = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, activation="tanh")(image)
    return keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))


def test_agrees_with_shap():
    with warnings.catch_warnings():
        # shap imports deprecated names, and passes the model its input in a list.
        warnings.simplefilter("ignore")
        import shap

        model = smooth_cnn()
        rng = np.random.default_rng(0)
        background = rng.uniform(0, 1, (5, 6, 6, 3)).astype(np.float32)
        images = rng.uniform(0, 1, (2, 6, 6, 3)).astype(np.float32)
        explainer = shap.GradientExplainer(model, background)
        theirs = explainer.shap_values(images, nsamples=3000, rseed=0)[..., 1]
    ours = Explainer(
        model, "gradient_shap", explain="true", samples=3000, background=background
    ).attributions(images, [1, 1])
    # The rest is shap's sampling error: a thousandth of the standard deviation over paths.
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.999
    np.testing.assert_allclose(ours, theirs, atol=0.05 * np.abs(theirs).max())


def test_of_a_linear_net_is_exact_with_any_background(images):
    image = keras.Input((16, 16, 3))
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(image)))
    kernel = model.layers[-1].get_weights()[0][:, 1].reshape(16, 16, 3)
    got = Explainer(
        model, "gradient_shap", explain="true", samples=8, background=images[:4]
    ).attributions(images, np.ones(7, int))
    expected = kernel * (images - images[:4].mean(axis=0))
    np.testing.assert_allclose(got, expected, atol=1e-3)


@pytest.mark.parametrize("with_background", [True, False])
def test_attributions_sum_to_the_score_minus_the_mean_of_the_background(
    build_cnn, images, with_background
):
    model = build_cnn()
    options = {"background": images[::-1]} if with_background else {"baseline": "white"}
    got = Explainer(model, "gradient_shap", samples=300, **options).attributions(images)
    known = images if with_background else np.full_like(images, 255)
    logits = model.predict(images, verbose=0)
    mean = model.predict(known, verbose=0).mean(axis=0)
    rows = np.arange(7), logits.argmax(axis=1)
    rise = (logits - mean)[rows]
    np.testing.assert_allclose(got.sum(axis=(1, 2, 3)), rise, atol=0.05 * np.abs(rise).mean())


def test_the_seed_decides_and_neither_batch_nor_chunks_do(build_cnn, images):
    model = build_cnn()
    explainer = Explainer(model, "gradient_shap", samples=6)
    heat = explainer.heatmaps(images)
    np.testing.assert_array_equal(
        heat, Explainer(model, "gradient_shap", samples=6).heatmaps(images)
    )
    np.testing.assert_allclose(explainer.heatmaps(images[2:3]), heat[2:3], atol=1e-5)
    other = Explainer(model, "gradient_shap", samples=6, chunk_size=1).heatmaps(images)
    np.testing.assert_allclose(other, heat, atol=1e-5)
    assert np.abs(
        heat - Explainer(model, "gradient_shap", samples=6, seed=1).heatmaps(images)
    ).any()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"samples": 0}, "`samples` must be >= 1"),
        ({"chunk_size": 0}, "`chunk_size` must be >= 1"),
        ({"background": np.zeros((16, 16, 3))}, r"`background` must be images \[N, H, W, C\]"),
        ({"background": np.zeros((0, 16, 16, 3))}, r"`background` must be images \[N, H, W, C\]"),
    ],
)
def test_options_outside_their_range_are_refused(build_cnn, option, message):
    with pytest.raises(ValueError, match=message):
        Explainer(build_cnn(), "gradient_shap", **option)
