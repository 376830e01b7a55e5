"""wrong_from="train": predictions from training steps equal those of a separate pass."""

import keras
import numpy as np
import pytest
from keras import layers

from proxy_keras import ProxyAttention
from proxy_keras.attribution import Explainer
from proxy_keras.augment import FlipAndRotate
from proxy_keras.data import ImageData
from proxy_keras.heatmaps.eight_bit import dequantise
from proxy_keras.proxy.proxy_step import ProxyStep

SIZE, CLASSES, BATCH = 8, 3, 16


@pytest.fixture
def data():
    """90 images of three brightnesses, each with a bright spot at a random place."""
    draw = np.random.default_rng(0)
    labels = np.arange(90) % CLASSES
    images = (60 * labels)[:, None, None, None] + draw.integers(0, 60, (90, SIZE, SIZE, 3))
    for image, (y, x) in zip(images, draw.integers(0, SIZE - 2, (90, 2)), strict=True):
        image[y : y + 2, x : x + 2] += 60
    return ImageData.from_arrays(images.astype(np.uint8), labels, seed=0, progress=False)


def _model(*, lr=0.0, dense="dense", nested=False, dtype=None, **compile_options):
    """A network that predicts the same in training as in inference, and is constant at lr=0."""
    keras.utils.set_random_seed(1)
    image = keras.Input((SIZE, SIZE, 3))
    features = keras.Sequential(
        [
            layers.Rescaling(1 / 255, dtype=dtype),
            layers.Conv2D(6, 3, padding="same", activation="relu", name="conv", dtype=dtype),
        ],
        name="features",
    )
    if nested:
        x = features(image)
    else:
        x = image
        for layer in features.layers:
            x = layer(x)
    x = layers.GlobalAveragePooling2D(keepdims=dense == "conv", dtype=dtype)(x)
    if dense == "conv":
        x = layers.Flatten()(layers.Conv2D(CLASSES, 1, dtype="float32")(x))
    else:
        activation = "softmax" if dense == "softmax" else None
        x = layers.Dense(CLASSES, activation=activation, dtype="float32")(x)
    model = keras.Model(image, x)
    model.compile(
        keras.optimizers.SGD(lr),
        keras.losses.SparseCategoricalCrossentropy(from_logits=dense != "softmax"),
        metrics=["accuracy"],
        **compile_options,
    )
    return model


def _fit(proxy, data, epochs=2, *, model, augment=None, **options):
    return model.fit(
        data.train.batches(BATCH, augment=augment),
        epochs=epochs,
        verbose=0,
        shuffle=False,
        callbacks=[proxy],
        **options,
    )


def _stored(data):
    state = data.train.store.get_state()
    return state["positions"], dequantise(state["heatmaps"])


def _everything(data, **options):
    settings = {"select": "all", "subset": 1.0, "wrong_from": "train", "verbose": 0}
    return ProxyAttention(data.train, "p,1", **{**settings, **options})


@pytest.mark.parametrize("method", ["grad_cam", "grad_cam_plus_plus", "layer_cam"])
@pytest.mark.parametrize("explain", ["predicted", "true", "contrast"])
def test_heatmaps_equal_those_of_a_separate_pass(data, method, explain):
    model = _model()
    _fit(_everything(data, method=method, explain=explain), data, model=model)
    positions, heatmaps = _stored(data)
    _, images, labels = next(data.train.originals(len(data.train)).as_numpy_iterator())
    expected = Explainer(model, method, explain=explain).heatmaps(images, labels)
    is_blank = expected.max(axis=(1, 2)) == 0
    np.testing.assert_array_equal(positions, np.flatnonzero(~is_blank))
    np.testing.assert_allclose(heatmaps, expected[positions], atol=1.01 / 255)


@pytest.mark.parametrize(
    "options",
    [
        {"dense": "softmax"},
        {"dense": "conv"},
        {"nested": True},
        {"dtype": "mixed_bfloat16"},
        {"jit_compile": True},
        {"run_eagerly": True},
    ],
)
# A training in the same process may have made operations deterministic, which XLA does not compile.
@pytest.mark.filterwarnings("ignore:Model doesn't support `jit_compile=True`")
def test_any_kind_of_model_is_recorded(data, options):
    model = _model(**options)
    _fit(_everything(data, method="grad_cam", explain="true"), data, model=model)
    positions, heatmaps = _stored(data)
    _, images, labels = next(data.train.originals(len(data.train)).as_numpy_iterator())
    expected = Explainer(model, "grad_cam", explain="true").heatmaps(images, labels)
    # Half precision in the forward pass of the training step.
    tolerance = 0.05 if "dtype" in options else 1.01 / 255
    np.testing.assert_allclose(heatmaps, expected[positions], atol=tolerance)


def test_wrong_counts_the_errors_of_the_training_steps(data):
    model = _model()
    proxy = ProxyAttention(data.train, "p,1", subset=1.0, wrong_from="train", verbose=0)
    history = _fit(proxy, data, model=model).history
    (step,) = proxy.steps
    # At a learning rate of 0 the accuracy that `fit` logs counts the same predictions.
    right = round(history["accuracy"][0] * len(data.train))
    assert 0 < step.wrong == len(data.train) - right


def test_maps_of_flipped_images_are_stored_unflipped(data):
    model = _model()
    augment = FlipAndRotate(flip=0.5, degrees=0.0)
    _fit(_everything(data, method="grad_cam"), data, model=model, augment=augment)
    positions, heatmaps = _stored(data)
    _, images, labels = next(data.train.originals(len(data.train)).as_numpy_iterator())
    flipped = images[:, :, ::-1]
    explainer = Explainer(model, "grad_cam")
    choices = np.stack([explainer.heatmaps(images), explainer.heatmaps(flipped)[:, :, ::-1]])
    # A 3x3 kernel responds differently to a mirrored image, so each map is one of the two.
    distance = np.abs(choices[:, positions] - heatmaps).max(axis=(2, 3))
    assert distance.min(axis=0).max() <= 1.01 / 255
    is_flipped = distance[1] < distance[0]
    assert 0.2 < is_flipped.mean() < 0.8


def test_a_step_makes_no_separate_pass(data, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("a pass over the originals was made")

    monkeypatch.setattr(ProxyStep, "_predict", refuse)
    monkeypatch.setattr(Explainer, "heatmaps", refuse)
    proxy = _everything(data)
    _fit(proxy, data, model=_model())
    assert proxy.steps[0].made > 0


def test_recording_changes_no_weights_and_the_model_is_restored(data):
    weights = []
    for wrong_from in ("train", "evaluation"):
        model = _model(lr=0.1)
        proxy = ProxyAttention(
            data.train, "1,p", subset=1.0, wrong_from=wrong_from, control="proxies_off", verbose=0
        )
        with pytest.warns(UserWarning, match="are never used"):
            _fit(proxy, data, model=model, validation_data=data.val.batches(BATCH))
        assert "train_step" not in vars(model) and "call" not in vars(model.get_layer("conv"))
        weights.append(model.get_weights())
    for recorded, plain in zip(*weights, strict=True):
        np.testing.assert_array_equal(recorded, plain)


def test_only_epochs_that_may_end_in_a_step_are_recorded(data):
    proxy = ProxyAttention(data.train, "1,p,1", wrong_from="train", subset=1.0, verbose=0)
    model = _model()
    read = []

    class Reads(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            read.append(len(proxy._record._parts))

    model.fit(
        data.train.batches(BATCH), epochs=3, verbose=0, shuffle=False, callbacks=[proxy, Reads()]
    )
    assert read == [0, -(-len(data.train) // BATCH), 0]


class Shift:
    """An augmentation that cannot be undone."""

    def __call__(self, images, labels, seed):
        return images[:, ::-1], labels


@pytest.mark.parametrize(
    ("settings", "model_options", "augment", "message"),
    [
        ({"method": "score_cam"}, {}, None, "cannot record heatmaps in training steps"),
        ({"engine": "tf-keras-vis", "method": "grad_cam"}, {}, None, "cannot record heatmaps in"),
        ({}, {"steps_per_execution": 2}, None, r"need compile\(steps_per_execution=1\)"),
        ({}, {}, Shift(), "cannot be undone"),
    ],
)
def test_what_cannot_be_recorded_is_refused(data, settings, model_options, augment, message):
    with pytest.raises(ValueError, match=message):
        _fit(_everything(data, **settings), data, model=_model(**model_options), augment=augment)


def test_another_head_is_refused(data):
    image = keras.Input((SIZE, SIZE, 3))
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu", name="conv")(image))
    model = keras.Model(image, layers.Dense(CLASSES)(x))
    with pytest.raises(ValueError, match="'conv' is followed by other layers"):
        _everything(data).prepare(model, 2)


def test_a_step_outside_training_is_refused(data):
    proxy = _everything(data)
    proxy.prepare(_model(), 2)
    with pytest.raises(RuntimeError, match="Recorded: 0 of"):
        proxy.run_step(0)


def test_diverged_training_makes_no_proxies(data):
    model = _model()
    model.layers[-1].bias.assign([np.nan] * CLASSES)
    with pytest.raises(FloatingPointError, match="of the epoch's training steps are not finite"):
        _fit(_everything(data), data, model=model)
    assert len(data.train.store) == 0


def test_two_devices_are_refused(data, mirrored):
    with mirrored.scope():
        model = _model()
    with pytest.raises(ValueError, match="Received: 2 replicas"):
        _fit(_everything(data), data, model=model)


@pytest.mark.parametrize("adapted", [False, True])
def test_batches_made_or_read_for_another_purpose_change_nothing(data, adapted):
    """A dataset keeps its own batch settings, whatever datasets are made after it."""
    model = _model()
    proxy = _everything(data, method="grad_cam")
    batches = data.train.batches(BATCH, augment=FlipAndRotate(flip=1.0, degrees=0.0))
    for size in (BATCH // 2, 2 * BATCH):
        others = data.train.batches(size)
        if adapted:
            normalisation = layers.Normalization()
            normalisation.adapt(others.map(lambda images, _: images))
    model.fit(batches, epochs=2, verbose=0, shuffle=False, callbacks=[proxy])
    positions, heatmaps = _stored(data)
    _, images, labels = next(data.train.originals(len(data.train)).as_numpy_iterator())
    flipped = Explainer(model, "grad_cam").heatmaps(images[:, :, ::-1], labels)[:, :, ::-1]
    np.testing.assert_allclose(heatmaps, flipped[positions], atol=1.01 / 255)
