"""The flat clone answers as the model does, and leaves the model as it was."""

import random

import keras
import numpy as np
import pytest
from keras import layers, ops

from proxy_keras.graph import FlatClone, operation_of


def images(count=3, size=8, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (count, size, size, 3)).astype(np.float32)


def conv_block(x, filters, name):
    x = layers.Conv2D(filters, 3, padding="same", name=f"{name}_conv")(x)
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def residual_model(activation=None):
    """A functional model with a nested one, a residual sum, `keras.ops` and dropout."""
    inner_in = keras.Input((8, 8, 4))
    inner = keras.Model(inner_in, conv_block(inner_in, 4, "b") + inner_in, name="block")
    image = keras.Input((8, 8, 3))
    x = layers.Rescaling(1 / 255)(image)
    x = conv_block(x, 4, "a")
    x = inner(x)
    x = ops.maximum(x, 0.1)
    x = layers.Dropout(0.5)(layers.GlobalAveragePooling2D(name="pool")(x))
    return keras.Model(image, layers.Dense(5, activation=activation, name="top")(x), name="outer")


class Subclassed(keras.Model):
    """A shared activation, a nested backbone, a branch on `training`, an argument no config has."""

    def __init__(self, backbone):
        super().__init__(name="subclassed")
        self.backbone = backbone
        self.convs = [layers.Conv2D(4, 3, padding="same") for _ in range(2)]
        self.relu = layers.ReLU()
        self.top = layers.Dense(5)

    def call(self, x, training=False):
        x = self.backbone(x, training=training)
        for conv in self.convs:
            x = self.relu(conv(x)) + x
        if training:
            x = x * 0.0
        return self.top(ops.mean(x, axis=(1, 2)))


def subclassed_model():
    image = keras.Input((8, 8, 3))
    model = Subclassed(keras.Model(image, conv_block(image, 4, "a"), name="backbone"))
    model(images())
    return model


def sequential_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Rescaling(1 / 255),
            keras.Sequential([layers.Conv2D(4, 3), layers.ReLU()], name="stem"),
            layers.Flatten(),
            layers.Dense(5),
        ]
    )


MODELS = {
    "functional": residual_model,
    "subclassed": subclassed_model,
    "sequential": sequential_model,
}


def state_of(model):
    """Everything of a model that a copy could disturb."""
    parts = model._flatten_layers()
    return {
        "weights": [np.asarray(ops.convert_to_numpy(v)).tobytes() for v in model.variables],
        "nodes": [(len(p._inbound_nodes), len(p._outbound_nodes)) for p in parts],
        "attributes": [sorted(vars(p)) for p in parts],
        "policies": [p.dtype_policy.name for p in parts],
        "trainable": [p.trainable for p in parts],
        "losses": len(model.losses),
        "random": random.getstate(),
    }


@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
def test_answers_as_the_model_does(build):
    model = build()
    clone = FlatClone(model)
    np.testing.assert_allclose(
        clone.model(images(), training=False), model(images(), training=False), atol=1e-5
    )
    assert not any(isinstance(layer, keras.Model) for layer in clone.model.layers)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "bfloat16"])
@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
def test_computes_in_float32_under_any_policy(build, policy):
    keras.config.set_dtype_policy(policy)
    model = build()
    clone = FlatClone(model)
    assert keras.config.dtype_policy().name == policy
    keras.config.set_dtype_policy("float32")
    reference = build()
    for source, target in zip(model.weights, reference.weights, strict=True):
        target.assign(ops.cast(source, "float32"))
    assert {layer.compute_dtype for layer in clone.model.layers} == {"float32"}
    assert clone.output.dtype == "float32"
    np.testing.assert_allclose(
        clone.model(images(), training=False), reference(images(), training=False), atol=1e-5
    )


@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
def test_leaves_the_model_as_it_was(build):
    model = build()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images(8), np.arange(8) % 5, epochs=1, verbose=0)
    optimizer = [np.asarray(v).tobytes() for v in model.optimizer.variables]
    before = state_of(model)
    clone = FlatClone(model)
    clone.refresh()
    clone.split(clone.tensor(clone.names[2]))
    assert state_of(model) == before
    assert [np.asarray(v).tobytes() for v in model.optimizer.variables] == optimizer
    model.fit(images(8), np.arange(8) % 5, epochs=1, verbose=0)


def test_refresh_follows_training():
    model = residual_model()
    clone = FlatClone(model)
    before = np.asarray(clone.model(images(), training=False))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images(8), np.arange(8) % 5, epochs=3, verbose=0)
    np.testing.assert_array_equal(clone.model(images(), training=False), before)
    clone.refresh()
    after = np.asarray(clone.model(images(), training=False))
    assert np.abs(after - before).max() > 1e-4
    np.testing.assert_allclose(after, model(images(), training=False), atol=1e-5)


def test_refresh_follows_a_new_adaptation():
    normalise = layers.Normalization()
    normalise.adapt(images(8))
    model = keras.Sequential([keras.Input((8, 8, 3)), normalise, layers.Flatten(), layers.Dense(2)])
    clone = FlatClone(model)
    np.testing.assert_allclose(clone.model(images()), model(images()), atol=1e-4)
    normalise.adapt(images(8) / 3)
    clone.refresh()
    np.testing.assert_allclose(clone.model(images()), model(images()), atol=1e-4)


@pytest.mark.parametrize("name", ["softmax", "sigmoid", "log_softmax"])
def test_activation_of_the_last_layer_is_left_out(name):
    model = residual_model(activation=name)
    clone = FlatClone(model)
    logits = clone.model(images(), training=False)
    np.testing.assert_allclose(
        getattr(ops, name)(logits), model(images(), training=False), atol=1e-5
    )
    assert np.abs(np.asarray(logits).sum(axis=1) - 1).max() > 1e-3
    assert model.layers[-1].activation is getattr(keras.activations, name)


@pytest.mark.parametrize(
    "end",
    [
        layers.Softmax(),
        layers.Activation("softmax", dtype="float32"),
        lambda x: ops.softmax(x),
        lambda x: layers.Activation("linear", dtype="float32")(layers.Softmax()(x)),
        lambda x: ops.cast(ops.softmax(x), "float32"),
    ],
    ids=["layer", "activation", "operation", "then linear", "then cast"],
)
def test_softmax_after_the_last_layer_is_left_out(end):
    base = residual_model()
    model = keras.Model(base.input, end(base.output))
    np.testing.assert_allclose(
        FlatClone(model).model(images(), training=False),
        base(images(), training=False),
        atol=1e-5,
    )


def test_shared_layers_stay_shared():
    shared = layers.Dense(4, name="shared")
    image = keras.Input((4,))
    model = keras.Model(image, layers.Dense(2)(shared(shared(image))))
    clone = FlatClone(model)
    assert len(clone.model.weights) == len(model.weights)
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    np.testing.assert_allclose(clone.model(x), model(x), atol=1e-5)


def test_layers_are_found_by_name_and_by_path():
    clone = FlatClone(residual_model())
    assert clone.tensor("b_relu") is clone.tensor("block/b_relu")
    assert clone.name_of(clone.tensor("block/b_relu")) == "b_relu"
    assert tuple(clone.tensor("block").shape) == (None, 8, 8, 4)
    with pytest.raises(ValueError, match="No layer is named 'conv9'.*block/b_conv"):
        clone.tensor("conv9")


def test_equal_names_in_two_nested_models_are_told_apart_by_path():
    parts = []
    for name in ("left", "right"):
        image = keras.Input((8, 8, 3))
        parts.append(keras.Model(image, layers.Conv2D(3, 1, name="conv")(image), name=name))
    model = keras.Sequential([keras.Input((8, 8, 3)), *parts, layers.Flatten(), layers.Dense(2)])
    clone = FlatClone(model)
    with pytest.raises(ValueError, match="'left/conv', 'right/conv'"):
        clone.tensor("conv")
    right = clone.tensor("right/conv")
    assert clone.name_of(right) in ("right/conv", "right")
    np.testing.assert_allclose(
        keras.Model(clone.model.inputs[0], right)(images()),
        parts[1](parts[0](images())),
        atol=1e-3,
    )
    np.testing.assert_allclose(clone.model(images()), model(images()), atol=1e-3)


@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
def test_halves_at_every_tensor_make_the_whole(build):
    clone = FlatClone(build())
    whole = np.asarray(clone.model(images(), training=False))
    for name in clone.names:
        target = clone.tensor(name)
        if target is clone.output:
            continue
        features, head = clone.split(target)
        cut = features(images(), training=False)
        cut = cut if isinstance(cut, list) else [cut]
        np.testing.assert_allclose(head(cut, training=False), whole, atol=1e-5, err_msg=name)


def test_halves_at_a_shared_layer_make_the_whole():
    relu = layers.ReLU(name="relu")
    image = keras.Input((8, 8, 3))
    first = relu(layers.Conv2D(3, 3, padding="same")(image))
    second = relu(layers.Conv2D(3, 3, padding="same")(first))
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(second)))
    clone = FlatClone(model)
    target = next(
        node.outputs[0]
        for node in operation_of(clone.tensor("relu"))._inbound_nodes
        if node.outputs[0] is not clone.tensor("relu")
    )
    features, head = clone.split(target)
    np.testing.assert_allclose(head([features(images())]), model(images()), atol=1e-3)


def test_rewired_graph_answers_the_same_and_goes_through_the_new_tensor():
    model = residual_model()
    clone = FlatClone(model)
    old = clone.tensor("block")
    doubled = ops.multiply(old, 2.0)
    clone.rewire(old, ops.multiply(doubled, 0.5), {"doubled": doubled})
    np.testing.assert_allclose(
        clone.model(images(), training=False), model(images(), training=False), atol=1e-5
    )
    features, head = clone.split(clone.tensor("doubled"))
    cut = features(images(), training=False)
    np.testing.assert_allclose(
        head([cut], training=False), model(images(), training=False), atol=1e-5
    )
    assert np.abs(head([cut * 0.0], training=False) - model(images())).max() > 1e-3
    # Names before, at and after the place lead to tensors of the graph as it is now.
    for name in ("a_relu", "block", "pool"):
        features, head = clone.split(clone.tensor(name))
        np.testing.assert_allclose(
            head([features(images(), training=False)], training=False),
            model(images(), training=False),
            atol=1e-5,
        )


def test_half_precision_casts_in_the_model_are_undone():
    image = keras.Input((8, 8, 3))
    x = ops.cast(image, "float16") / 7.0
    model = keras.Model(image, layers.Dense(2, dtype="float32")(layers.Flatten()(x)))
    clone = FlatClone(model)
    kernel, bias = model.layers[-1].get_weights()
    expected = (images() / 7).reshape(3, -1) @ kernel + bias
    np.testing.assert_allclose(clone.model(images()), expected, rtol=1e-5, atol=1e-4)


def test_uint8_input_takes_floats():
    image = keras.Input((8, 8, 3), dtype="uint8")
    x = layers.Flatten()(layers.Rescaling(1 / 255)(image))
    model = keras.Model(image, layers.Dense(2)(x))
    whole = images().round()
    np.testing.assert_allclose(
        FlatClone(model).model(whole), model(whole.astype(np.uint8)), atol=1e-4
    )


class TestRefused:
    def test_one_unit(self):
        model = keras.Sequential([keras.Input((4,)), layers.Dense(1, activation="sigmoid")])
        with pytest.raises(ValueError, match="needs one logit per class"):
            FlatClone(model)

    def test_map_output(self):
        model = keras.Sequential([keras.Input((4, 4, 3)), layers.Conv2D(2, 1)])
        with pytest.raises(ValueError, match="needs one logit per class"):
            FlatClone(model)

    def test_two_outputs(self):
        image = keras.Input((4,))
        model = keras.Model(image, [layers.Dense(2)(image), layers.Dense(3)(image)])
        with pytest.raises(ValueError, match="2 outputs"):
            FlatClone(model)

    def test_two_inputs(self):
        a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
        model = keras.Model([a, b], layers.Dense(2)(layers.Add()([a, b])))
        with pytest.raises(ValueError, match=r"inputs \['a', 'b'\]"):
            FlatClone(model)

    def test_unbuilt(self):
        with pytest.raises(ValueError, match="not built"):
            FlatClone(keras.Sequential([layers.Dense(2)]))
        with pytest.raises(ValueError, match="not built"):
            FlatClone(Subclassed(layers.Identity()))

    def test_not_a_model(self):
        with pytest.raises(ValueError, match=r"must be a keras.Model"):
            FlatClone(layers.Dense(2))

    def test_call_that_symbolic_tensors_cannot_follow(self):
        class NeedsBatchSize(keras.Model):
            def __init__(self):
                super().__init__()
                self.top = layers.Dense(2)

            def call(self, x):
                return self.top(ops.reshape(x, (int(ops.shape(x)[0]), 192)))

        model = NeedsBatchSize()
        model(images())
        nodes = len(model.top._inbound_nodes)
        with pytest.raises(ValueError, match="-1 for the batch size"):
            FlatClone(model)
        assert len(model.top._inbound_nodes) == nodes

    def test_weight_that_would_be_frozen_into_a_constant(self):
        class Positions(keras.Model):
            def __init__(self):
                super().__init__()
                self.positions = layers.Embedding(64, 3, name="positions")
                self.top = layers.Dense(2)

            def call(self, x):
                x = ops.reshape(x, (-1, 64, 3)) + self.positions(ops.arange(64))
                return self.top(ops.mean(x, axis=1))

        model = Positions()
        model(images())
        with pytest.raises(ValueError, match="positions/embeddings.*depend on its input"):
            FlatClone(model)


def test_own_weight_of_a_subclassed_model_is_followed():
    class Scaled(keras.Model):
        def __init__(self):
            super().__init__()
            self.gain = self.add_weight(shape=(), initializer="ones", name="gain")
            self.top = layers.Dense(2)

        def call(self, x):
            return self.top(ops.mean(x, axis=(1, 2))) * self.gain

    model = Scaled()
    model(images())
    clone = FlatClone(model)
    before = np.asarray(clone.model(images()))
    model.gain.assign(3.0)
    np.testing.assert_array_equal(clone.model(images()), before)
    clone.refresh()
    np.testing.assert_allclose(clone.model(images()), model(images()), rtol=1e-5)
