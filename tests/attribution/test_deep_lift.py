"""DeepLIFT against hand-computed rules, shap and integrated gradients; sums are preserved."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import layers, ops

from proxy_keras.attribution import Explainer
from proxy_keras.attribution.baselines import Baseline
from proxy_keras.attribution.method_options import BASELINES


def scored(function, size):
    """A model of images [1, size, 1] whose first logit is the sum of `function` of the pixels."""
    image = keras.Input((1, size, 1))
    values = function(layers.Flatten()(image))
    top = layers.Dense(2, use_bias=False)
    model = keras.Model(image, top(layers.Flatten()(values)))
    width = top.kernel.shape[0]
    top.set_weights([np.stack([np.ones(width), np.zeros(width)], axis=1)])
    return model


def attributions(model, pixels, **options):
    """Return attributions of the first logit for the pixels of one image; baseline 0."""
    image = np.asarray(pixels, np.float32).reshape(1, 1, -1, 1)
    explainer = Explainer(model, "deep_lift", explain=lambda logits: logits[:, 0], **options)
    return explainer.attributions(image).ravel()


def value(model, pixels):
    image = np.asarray(pixels, np.float32).reshape(1, 1, -1, 1)
    return float(model.predict(image, verbose=0)[0, 0])


def test_the_rescale_rule_by_hand():
    # relu(a + b - 1) of (2, 3): from 0 to 4 while a + b goes from 0 to 5: multiplier 4/5.
    model = scored(lambda x: ops.relu(ops.sum(x, axis=1, keepdims=True) - 1.0), 2)
    np.testing.assert_allclose(attributions(model, [2, 3]), [1.6, 2.4], atol=1e-6)


def test_a_product_shares_its_change_evenly():
    model = scored(lambda x: (x[:, :1] + 1.0) * (x[:, 1:] + 2.0), 2)
    # a goes from 1 to 4, b from 2 to 6: 3 * (2 + 6) / 2 and 4 * (1 + 4) / 2.
    np.testing.assert_allclose(attributions(model, [3, 4]), [12, 10], atol=1e-5)


def test_a_maximum_is_attributed_to_the_largest_cell():
    model = scored(lambda x: ops.max(x, axis=1, keepdims=True), 3)
    np.testing.assert_allclose(attributions(model, [1, 5, 2]), [0, 5, 0], atol=1e-6)
    # A decrease goes to the baseline's maximum: a tie for the baseline (2, 2, 2) of "white".
    lost = attributions(model, [1, 1, 0], baseline="white", value_range=(0.0, 2.0))
    np.testing.assert_allclose(lost.sum(), -1, atol=1e-6)


FUNCTIONS = {
    "softmax": lambda x: ops.softmax(x)[:, :1],
    "log_softmax": lambda x: ops.log_softmax(x)[:, :2],
    "quotient": lambda x: (x + 1.0) / (ops.square(x[:, ::-1]) + 2.0),
    "larger of two": lambda x: ops.maximum(x[:, :2], 0.5 - x[:, 1:3]),
    "smaller of two": lambda x: ops.minimum(2.0 * x, x[:, ::-1] - 0.3),
    "clipped": lambda x: ops.clip(x, -0.5, 0.7),
    "matrix product": lambda x: ops.matmul(
        ops.reshape(x, (-1, 2, 2)), ops.tanh(ops.reshape(x, (-1, 2, 2)))
    ),
    "einsum": lambda x: ops.einsum("bi,bj->bij", x, ops.sigmoid(x)),
    "normalised": lambda x: layers.LayerNormalization()(x) * (x + 1.0),
    "moved": lambda x: ops.exp(ops.roll(ops.concatenate([x, x], axis=1), 1, axis=1)[:, ::3]),
}


@pytest.fixture(scope="module")
def explained():
    """(model, Explainer) for each of `FUNCTIONS`."""
    models = {name: scored(function, 4) for name, function in FUNCTIONS.items()}
    first = {"explain": lambda logits: logits[:, 0]}
    return {n: (m, Explainer(m, "deep_lift", **first)) for n, m in models.items()}


@pytest.mark.parametrize("name", FUNCTIONS)
@settings(max_examples=15, deadline=None)
@given(pixels=hnp.arrays(np.float32, 4, elements=st.floats(-4, 4, width=32)))
def test_every_rule_keeps_the_sum(explained, name, pixels):
    model, explainer = explained[name]
    image = pixels.reshape(1, 1, 4, 1)
    pair = model(np.concatenate([image, np.zeros_like(image)]), training=False)[:, 0]
    got = explainer.attributions(image)
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got.sum(), pair[0] - pair[1], atol=1e-3)


def test_softmax_stays_finite_and_keeps_the_sum_at_huge_logits():
    model = scored(lambda x: ops.softmax(1e4 * x - 50.0 * ops.ones_like(x))[:, :1], 3)
    for pixels in ([1, -1, 0], [-1, 1, 0.5], [0, 0, 0], [1e-6, 0, 0]):
        expected = value(model, pixels) - value(model, [0, 0, 0])
        np.testing.assert_allclose(attributions(model, pixels).sum(), expected, atol=1e-4)


def cnn(activation, images):
    """A trained CNN with batch normalisation, max-pooling and squeeze-and-excitation."""
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, padding="same")(layers.Rescaling(1 / 128, offset=-1)(image))
    x = layers.Activation(activation)(layers.BatchNormalization()(x))
    x = layers.MaxPooling2D()(x)
    x = layers.Activation(activation)(layers.SeparableConv2D(8, 3)(x))
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Multiply()([x, layers.Conv2D(8, 1, activation="sigmoid")(gate)])
    x = layers.Conv2D(8, 3, groups=2)(layers.UpSampling2D(interpolation="bilinear")(x))
    x = layers.Concatenate()([layers.GlobalMaxPooling2D()(x), layers.GlobalAveragePooling2D()(x)])
    model = keras.Model(image, layers.Dense(4)(layers.Dense(8, activation=activation)(x)))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, np.arange(7) % 4, epochs=5, verbose=0)
    return model


def rises(model, images, baseline):
    start = Baseline(baseline, (0.0, 255.0), 0)(tf.constant(images))
    logits = model.predict(images, verbose=0)
    rows = np.arange(len(images)), logits.argmax(axis=1)
    return (logits - model.predict(start, verbose=0))[rows]


@pytest.mark.parametrize("activation", ["relu", "swish", "gelu", "hard_silu"])
def test_attributions_sum_to_the_increase_of_the_score(images, activation):
    model = cnn(activation, images)
    for baseline in BASELINES if activation == "relu" else ["blur"]:
        rise = rises(model, images, baseline)
        got = Explainer(model, "deep_lift", baseline=baseline).attributions(images)
        np.testing.assert_allclose(got.sum(axis=(1, 2, 3)), rise, atol=1e-3 * np.abs(rise).mean())


def test_a_transformer_keeps_the_sum_too(build_vit):
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    model = build_vit()
    explainer = Explainer(model, "deep_lift", baseline="uniform", seed=0)
    start = Baseline("uniform", (0.0, 255.0), 0)(tf.constant(images))
    logits, black = explainer.logits(images), explainer.logits(start)
    rows = np.arange(2), logits.argmax(axis=1)
    np.testing.assert_allclose(
        explainer.attributions(images).sum(axis=(1, 2, 3)), (logits - black)[rows], atol=1e-3
    )


def test_of_a_linear_net_is_integrated_gradients(images):
    image = keras.Input((16, 16, 3))
    x = layers.AveragePooling2D(2)(layers.BatchNormalization()(layers.Conv2D(4, 3)(image)))
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))
    expected = Explainer(model, "integrated_gradients").attributions(images)
    got = Explainer(model, "deep_lift").attributions(images)
    np.testing.assert_allclose(got, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "softplus"])
def test_agrees_with_shap(activation):
    image = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, activation=activation)(image)
    x = layers.Dense(5, activation=activation)(layers.Flatten()(layers.MaxPooling2D()(x)))
    model = keras.Model(image, layers.Dense(3)(x))
    images = np.random.default_rng(0).uniform(-1, 1, (3, 6, 6, 2)).astype(np.float32)
    with warnings.catch_warnings():
        # shap imports deprecated names, and passes the model its input in a list.
        warnings.simplefilter("ignore")
        import shap

        explainer = shap.DeepExplainer(model, np.zeros_like(images[:1]))
        theirs = explainer.shap_values(images)[..., 1]
    ours = Explainer(model, "deep_lift", explain="true").attributions(images, [1, 1, 1])
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_score_of_the_users_is_part_of_the_way(build_cnn, images):
    model = build_cnn()

    def score(logits):
        return ops.log_softmax(logits)[:, 2]

    explainer = Explainer(model, "deep_lift", explain=score, baseline="white")
    logits, white = explainer.logits(images), explainer.logits(np.full_like(images, 255))
    np.testing.assert_allclose(
        explainer.attributions(images).sum(axis=(1, 2, 3)),
        score(logits) - score(white),
        atol=1e-3,
    )


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (lambda x: ops.where(x > 0.5, x, 0.0), "SelectV2"),
        (lambda x: ops.sort(x), "TopKV2"),
        (lambda x: ops.floor(x), "Floor"),
    ],
)
def test_an_operation_without_a_rule_is_named_and_not_taken_for_linear(function, kind):
    model = scored(function, 3)
    with pytest.raises(ValueError, match=f"no rule for operation .* of type {kind}"):
        attributions(model, [1, 2, 3])
