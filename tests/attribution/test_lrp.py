"""LRP against hand-made networks, and the conservation of relevance in real ones."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import proxy_keras
from proxy_keras.attribution import Explainer
from proxy_keras.attribution.lrp import LRP
from proxy_keras.attribution.lrp_rules import AlphaBetaRule, EpsilonRule, LinearMap

RULES = [{"epsilon": 1e-3}, {}, {"rule": "alpha_beta"}, {"rule": "alpha_beta", "alpha": 1.0}]


def draw_biases_and_norms(model, seed=0):
    """Set biases and statistics as after training, so that none is 0 or 1."""
    rng = np.random.default_rng(seed)
    for layer in model._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            for weight in layer.weights:
                weight.assign(rng.uniform(0.2, 1.5, weight.shape))
        elif getattr(layer, "use_bias", False):
            layer.bias.assign(rng.normal(size=layer.bias.shape) * 0.3)
    return model


def relevance_and_score(model, images, **options):
    explainer = Explainer(model, "lrp", **options)
    return explainer.attributions(images), explainer.logits(images).max(axis=1)


def small_net(build_hidden, height=1, width=3, channels=1):
    image = keras.Input((height, width, channels))
    return keras.Model(image, layers.Dense(2, use_bias=False)(build_hidden(image)))


def two_layer_net():
    """x = (1, 2, -1) -> z = (1*1 + 2*1 - 1*1 + 1, 1 - 2 + 0 + 0) = (3, -1) -> ReLU -> 2 z1."""
    model = small_net(lambda x: layers.Dense(2, activation="relu")(layers.Flatten()(x)))
    model.layers[2].set_weights([np.array([[1.0, 1], [1, -1], [1, 0]]), np.array([1.0, 0])])
    model.layers[3].set_weights([np.array([[2.0, -1], [5, -1]])])
    return model, np.array([1.0, 2, -1], np.float32).reshape(1, 1, 3, 1)


def test_epsilon_rule_by_hand():
    model, image = two_layer_net()
    # Score 6. The mean magnitude of the logits (6, -3) is 4.5: a part 6 / 6.45 of the 6 is
    # distributed by z * w = (6, 0), and the rest evenly to both hidden units.
    rest = 6 * 0.45 / 6.45
    hidden = np.array([6 - rest / 2, rest / 2])
    # Hidden units 3 and -1, of mean magnitude 2, are stabilised to 3.2 and -1.2.
    parts = np.array([[1.0, 2, -1], [1, -2, 0]])
    shares = hidden / [3.2, -1.2]
    left = hidden - shares * parts.sum(axis=1)
    expected = shares @ parts + left.sum() / 3
    got, _ = relevance_and_score(model, image, epsilon=0.1)
    np.testing.assert_allclose(got.ravel(), expected, rtol=1e-5)
    np.testing.assert_allclose(got.sum(), 6, rtol=1e-6)


def test_alpha_beta_rule_by_hand():
    model, image = two_layer_net()
    # The first hidden unit gets all of the score. Its positive contributions are 1, 2 and the bias
    # 1, its negative one 1: 2 * 6 is shared by (1, 2, bias 1) / 4, and -6 by the third input.
    bias = 2 * 6 / 4 / 3
    got, _ = relevance_and_score(model, image, rule="alpha_beta", alpha=2.0)
    np.testing.assert_allclose(got.ravel(), [3 + bias, 6 + bias, -6 + bias], rtol=1e-5)


def test_a_unit_that_is_only_raised_or_only_lowered_keeps_its_relevance():
    weights = tf.constant([[1.0, -1.0, 0.0], [3.0, -1.0, 0.0]])
    linear = LinearMap(
        weighted_sum=lambda xs: xs[0] @ weights,
        positive=lambda xs: xs[0] @ tf.nn.relu(weights),
        negative=lambda xs: xs[0] @ tf.minimum(weights, 0),
        mean=lambda xs: tf.reduce_mean(xs[0], axis=-1, keepdims=True),
    )
    inputs = [tf.constant([[1.0, 1.0]])]
    for is_positive in (False, True):
        _, back = AlphaBetaRule(2.0).forward(linear, inputs, is_positive)
        # 4 by 1 : 3; 4 by 1 : 1; and 4 evenly, because all weights are 0.
        for unit, expected in enumerate([[1, 3], [2, 2], [2, 2]]):
            relevance = 4 * tf.one_hot([unit], 3)
            np.testing.assert_allclose(back(relevance)[0], [expected], rtol=1e-6)
    _, back = EpsilonRule(0.0).forward(linear, inputs, True)
    np.testing.assert_allclose(back(tf.constant([[0.0, 0, 4]]))[0], [[2, 2]])


def test_two_negatives_raise_a_unit():
    image = keras.Input((1, 2, 1))
    top = layers.Dense(2, use_bias=False)
    model = keras.Model(image, top(layers.Flatten()(image)))
    top.set_weights([np.array([[1.0, 0], [-1, -1]])])
    # 1 * 1 and -2 * -1 are positive contributions; there are no negative ones.
    image = np.array([1.0, -2], np.float32).reshape(1, 1, 2, 1)
    got, _ = relevance_and_score(model, image, rule="alpha_beta")
    np.testing.assert_allclose(got.ravel(), [1, 2], rtol=1e-6)


def test_a_rectified_value_less_a_constant_may_be_negative(images):
    shifts = [lambda x: x + (-5.0), layers.Rescaling(1.0, offset=-5.0)]
    found = []
    for shift in shifts:
        keras.utils.set_random_seed(0)
        image = keras.Input((16, 16, 3))
        x = layers.Conv2D(3, 3)(shift(layers.ReLU()(image)))
        model = keras.Model(image, layers.Dense(2)(layers.Flatten()(x)))
        found.append(relevance_and_score(model, images / 20, rule="alpha_beta")[0])
    np.testing.assert_allclose(found[0], found[1], atol=1e-4 * np.abs(found[1]).max())


@pytest.mark.parametrize("explain", ["predicted", "contrast"])
def test_without_bias_and_epsilon_it_is_gradient_times_input(images, explain):
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(6, 3, padding="same", use_bias=False, activation="relu")(image)
    x = layers.MaxPooling2D()(x)
    y = layers.Conv2D(6, 3, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.DepthwiseConv2D(3, strides=2, use_bias=False, activation="relu")(x)
    x = layers.Dense(5, use_bias=False, activation="relu")(layers.Flatten()(x))
    model = keras.Model(image, layers.Dense(4, use_bias=False)(x))
    labels = np.arange(7) % 4
    got = Explainer(model, "lrp", epsilon=0.0, explain=explain).attributions(images, labels)
    inputs = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        logits = model(inputs)
        weights = np.eye(4)[np.argmax(logits, axis=1)].astype(np.float32)
        if explain == "contrast":
            is_wrong = np.argmax(logits, axis=1) != labels
            weights -= (np.eye(4)[labels] * is_wrong[:, None]).astype(np.float32)
        score = tf.reduce_sum(logits * weights)
    expected = images * tape.gradient(score, inputs).numpy()
    np.testing.assert_allclose(got, expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.slow
@pytest.mark.parametrize("options", RULES[1:3])
def test_relevance_of_the_image_sums_to_the_score_in_resnet20(options):
    model = proxy_keras.build_model("resnet20", num_classes=10, image_size=16)
    images = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
    relevance, score = relevance_and_score(draw_biases_and_norms(model), images, **options)
    assert relevance.shape == images.shape
    np.testing.assert_allclose(relevance.sum(axis=(1, 2, 3)), score, rtol=1e-3)


def conv(x, **kwargs):
    return layers.Conv2D(6, 3, padding="same", **kwargs)(x)


LAYERS = {
    "bias": lambda x: conv(x, activation="relu"),
    "valid": lambda x: layers.Conv2D(5, (2, 3), strides=(1, 2))(x),
    "strided": lambda x: conv(x, strides=3),
    "dilated": lambda x: conv(x, dilation_rate=2),
    "grouped": lambda x: layers.Conv2D(6, 3, groups=3, padding="same")(x),
    "depthwise": lambda x: layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same")(x),
    "separable": lambda x: layers.SeparableConv2D(7, 3, padding="same", activation="relu")(x),
    "dense": lambda x: layers.Dense(5, activation="gelu")(layers.Flatten()(x)),
    "conv, norm": lambda x: layers.ReLU()(layers.BatchNormalization()(conv(x))),
    "depthwise, norm": lambda x: layers.BatchNormalization()(
        layers.DepthwiseConv2D(3, depth_multiplier=2)(x)
    ),
    "separable, norm": lambda x: layers.BatchNormalization()(layers.SeparableConv2D(7, 3)(x)),
    "norm alone": lambda x: layers.BatchNormalization(scale=False)(layers.ReLU()(conv(x))),
    "norm of one of two uses": lambda x: (lambda y: layers.BatchNormalization()(y) + y)(conv(x)),
    "residual": lambda x: layers.ReLU()(layers.Add()([x, layers.Conv2D(3, 1)(x)])),
    "average of three": lambda x: layers.Average()([x, conv(x)[..., :3], conv(x)[..., 3:]]),
    "twice the same": lambda x: layers.Add()([x, x]),
    "subtract": lambda x: layers.Subtract()([conv(x), conv(x)]),
    "concatenate": lambda x: layers.Concatenate()([x, conv(x)]),
    "max pool": lambda x: layers.MaxPooling2D(3, strides=2, padding="same")(conv(x)),
    "average pool": lambda x: layers.AveragePooling2D(3, strides=2, padding="same")(conv(x)),
    "pools": lambda x: layers.GlobalAveragePooling2D()(x) + layers.GlobalMaxPooling2D()(x),
    "padding": lambda x: layers.Cropping2D(1)(conv(layers.ZeroPadding2D((2, 1))(x))),
    "padding of channels": lambda x: ops.pad(x, [(0, 0), (0, 0), (1, 1), (1, 2)]) * 2.0,
    "enlarged": lambda x: layers.UpSampling2D(2)(x),
    "enlarged bilinearly": lambda x: layers.UpSampling2D(2, interpolation="bilinear")(conv(x)),
    "reshaped": lambda x: layers.Permute((2, 1))(layers.Reshape((-1, 3))(x)),
    "rescaled": lambda x: layers.Dropout(0.5)(layers.Rescaling(0.1, offset=-1)(x)),
    "normalised": lambda x: layers.Normalization(mean=[1, 2, 3], variance=[1, 4, 9])(x),
    "squeeze and excite": lambda x: layers.Multiply()(
        [
            x,
            layers.Dense(3, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x)),
        ]
    ),
    "product": lambda x: layers.Multiply()([conv(x), conv(x)]),
    "plain operations": lambda x: ops.mean(
        ops.relu(ops.multiply(ops.add(x, 1.0), 2.0)) / 3.0 - conv(x)[..., :3], axis=(1, 2)
    ),
    "split": lambda x: ops.concatenate(list(reversed(ops.split(conv(x), 2, axis=-1))), axis=1),
    "nested": lambda x: keras.Sequential([layers.Conv2D(4, 3), layers.ReLU()])(x),
    "flips in training": lambda x: layers.RandomFlip(seed=0)(x),
}


@pytest.mark.filterwarnings("ignore:You are saving your model:UserWarning")
@pytest.mark.parametrize("options", RULES[1:3])
@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_keeps_the_sum_of_relevance(name, options):
    keras.utils.set_random_seed(1)
    image = keras.Input((6, 7, 3))
    x = LAYERS[name](image)
    x = layers.Flatten()(x) if len(x.shape) > 2 else x
    model = draw_biases_and_norms(keras.Model(image, layers.Dense(3)(x)))
    images = np.random.default_rng(0).normal(size=(3, 6, 7, 3)).astype(np.float32)
    score = np.asarray(model(images, training=False)).max(axis=1)
    relevance = Explainer(model, "lrp", **options).attributions(images)
    np.testing.assert_allclose(relevance.sum(axis=(1, 2, 3)), score, rtol=1e-3)


def test_the_heatmap_is_the_positive_relevance(build_cnn, images):
    model = draw_biases_and_norms(build_cnn())
    explainer = Explainer(model, "lrp")
    logits, heat = explainer.logits_and_heatmaps(images)
    np.testing.assert_allclose(logits, model(images, training=False), atol=1e-4)
    positive = np.maximum(explainer.attributions(images).sum(axis=-1), 0)
    low = positive.min(axis=(1, 2), keepdims=True)
    span = positive.max(axis=(1, 2), keepdims=True) - low
    np.testing.assert_allclose(heat, (positive - low) / span, atol=1e-4)


def test_folding_equals_one_convolution_with_the_same_outputs():
    keras.utils.set_random_seed(0)
    image = keras.Input((5, 5, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3)(image))
    with_norm = keras.Model(image, layers.Dense(2)(layers.Flatten()(layers.ReLU()(x))))
    draw_biases_and_norms(with_norm)
    kernel, bias = with_norm.layers[1].get_weights()
    gamma, beta, mean, variance = with_norm.layers[2].get_weights()
    scale = gamma / np.sqrt(variance + 1e-3)
    x = layers.Conv2D(4, 3, activation="relu")(image)
    folded = keras.Model(image, layers.Dense(2)(layers.Flatten()(x)))
    folded.layers[1].set_weights([kernel * scale, (bias - mean) * scale + beta])
    folded.layers[3].set_weights(with_norm.layers[5].get_weights())
    images = np.random.default_rng(0).normal(size=(2, 5, 5, 3)).astype(np.float32)
    for options in RULES:
        np.testing.assert_allclose(
            relevance_and_score(with_norm, images, **options)[0],
            relevance_and_score(folded, images, **options)[0],
            atol=1e-4,
        )


@pytest.mark.parametrize("options", RULES[1:3])
def test_a_separable_convolution_is_a_depthwise_and_a_pointwise_one(images, options):
    keras.utils.set_random_seed(0)
    depthwise, pointwise = layers.DepthwiseConv2D(3, use_bias=False), layers.Conv2D(5, 1)
    separable = layers.SeparableConv2D(5, 3)
    top = layers.Dense(2)
    found = []
    for steps in ([depthwise, pointwise], [separable]):
        image = keras.Input((16, 16, 3))
        x = layers.ReLU()(layers.Rescaling(1 / 64, offset=-1)(image))
        for step in steps:
            x = step(x)
        model = keras.Model(image, top(layers.Flatten()(x)))
        if step is separable:
            separable.set_weights([*depthwise.get_weights(), *pointwise.get_weights()])
        found.append(relevance_and_score(model, images, **options)[0])
    np.testing.assert_allclose(found[0], found[1], atol=1e-4 * np.abs(found[0]).max())


def test_relevance_of_padding_goes_to_its_neighbour():
    image = keras.Input((1, 2, 1))
    padded = layers.Flatten()(layers.ZeroPadding2D(((0, 0), (0, 1)))(image))
    model = keras.Model(image, layers.Dense(2, kernel_initializer="ones")(padded))
    got, _ = relevance_and_score(model, np.array([[[[1.0], [3]]]], np.float32), epsilon=0.1)
    # A part 4 / 4.4 of the 4 is distributed by 1 : 3 : 0, and the rest evenly.
    rest = 4 * 0.4 / 4.4 / 3
    np.testing.assert_allclose(got.ravel(), [1 / 1.1 + rest, 3 / 1.1 + 2 * rest], rtol=1e-5)


def test_max_pooling_passes_all_relevance_to_the_largest():
    image = keras.Input((2, 2, 1))
    x = layers.Flatten()(layers.MaxPooling2D()(image))
    model = keras.Model(image, layers.Dense(2, kernel_initializer="ones")(x))
    got, _ = relevance_and_score(model, np.array([[[[1.0], [4]], [[3], [2]]]], np.float32))
    # The epsilon rule has no effect on a unit with one input.
    np.testing.assert_allclose(got[0, :, :, 0], [[0, 4], [0, 0]], atol=1e-6)


@pytest.mark.parametrize("is_swapped", [False, True])
def test_a_gate_gets_no_relevance(is_swapped):
    image = keras.Input((1, 2, 1))
    signal, gate = image[:, :, :1], ops.sigmoid(image[:, :, 1:])
    x = gate * signal if is_swapped else signal * gate
    model = keras.Model(image, layers.Dense(2, kernel_initializer="ones")(layers.Flatten()(x)))
    got, score = relevance_and_score(model, np.array([[[[3.0], [5]]]], np.float32))
    np.testing.assert_allclose(got.ravel(), [score[0], 0], atol=1e-6)


def test_relevance_goes_where_the_network_looks(images):
    image = keras.Input((16, 16, 3))
    left = layers.Cropping2D(((0, 0), (0, 8)))(image)
    x = layers.Conv2D(4, 3, activation="relu")(left)
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))
    for options in RULES[1:3]:
        relevance, _ = relevance_and_score(model, images, **options)
        assert not relevance[:, :, 8:].any()
        assert relevance[:, :, :8].any()


def test_layers_without_a_rule_are_named(build_vit):
    images = np.zeros((1, 32, 32, 3), np.float32)
    with pytest.raises(ValueError, match=r"LRP has no rule for layer 'vit_patching_and_embed"):
        Explainer(build_vit(), "lrp").heatmaps(images)

    class Mine(layers.Layer):
        def call(self, x):
            return x * x

    image = keras.Input((4, 4, 3))
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(Mine(name="mine")(image))))
    with pytest.raises(ValueError, match=r"no rule for layer 'mine' \(Mine\)"):
        Explainer(model, "lrp").heatmaps(images[:, :4, :4])
    inverse = keras.Model(image, layers.Dense(2)(layers.Flatten()(1.0 / (image + 9.0))))
    with pytest.raises(ValueError, match="no rule for layer .*Divide"):
        Explainer(inverse, "lrp").heatmaps(images[:, :4, :4])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "gamma"}, r"`rule` must be one of .* Received: 'gamma'"),
        ({"epsilon": -0.1}, "`epsilon` must be >= 0. Received: -0.1"),
        ({"alpha": 0.5}, "`alpha` must be >= 1.*Received: 0.5"),
    ],
)
def test_options_outside_their_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        LRP(**options)
