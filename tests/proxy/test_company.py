"""ProxyAttention beside other callbacks, validation and tuners that use the same data."""

import copy

import keras
import numpy as np
import pytest

from proxy_keras import ProxyAttention
from proxy_keras.data import ImageData

SIZE, CLASSES = 8, 3


@pytest.fixture
def data():
    """90 noisy images of three brightnesses."""
    draw = np.random.default_rng(0)
    labels = np.arange(90) % CLASSES
    images = (60 * labels)[:, None, None, None] + draw.integers(0, 60, (90, SIZE, SIZE, 3))
    return ImageData.from_arrays(images.astype(np.uint8), labels, seed=0, progress=False)


def _model():
    keras.utils.set_random_seed(0)
    image = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(CLASSES)(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.001), loss, metrics=["accuracy"])
    return model


def _fit(data, *callbacks, epochs=3, train=None, **options):
    # Batches of one size: Keras would trace the step again for a smaller last one.
    train = data.train.batches(21) if train is None else train
    model = _model()
    options = {"epochs": epochs, "verbose": 0, "shuffle": False, **options}
    history = model.fit(train, callbacks=list(callbacks), **options)
    return model, history.history


def _proxy(data, schedule="p,2", **options):
    return ProxyAttention(data.train, schedule, select="all", verbose=0, **options)


class Reader(keras.callbacks.Callback):
    """Evaluates on the training split at one of the callback's moments."""

    def __init__(self, data, moment):
        super().__init__()
        self.dataset, self.count = data.train.batches(32), 0
        setattr(self, moment, self._read)

    def _read(self, epoch, logs=None):
        self.count += sum(len(labels) for _, labels in self.dataset)


@pytest.mark.parametrize(
    ("moment", "is_first", "wrong_from"),
    [
        ("on_epoch_begin", False, "evaluation"),
        ("on_epoch_begin", True, "train"),
        ("on_epoch_end", True, "train"),
    ],
)
def test_other_callbacks_may_read_the_training_split(data, moment, is_first, wrong_from):
    alone = _proxy(data, wrong_from=wrong_from)
    expected, history = _fit(data, alone)
    proxy, reader = _proxy(data, wrong_from=wrong_from), Reader(data, moment)
    model, other = _fit(data, *([reader, proxy] if is_first else [proxy, reader]))
    assert reader.count == 3 * len(data.train)
    # The same order, the same proxies, and so the same weights.
    assert other == history
    for one, two in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("is_same", [False, True])
def test_the_training_split_may_be_the_validation_data(data, is_same):
    train = data.train.batches(16)
    validation = train if is_same else data.train.batches(32)
    proxy = _proxy(data)
    _, history = _fit(data, proxy, train=train, validation_data=validation)
    assert history["proxies"] == [proxy.steps[0].made] * 3 and len(history["val_loss"]) == 3


def test_stale_data_beside_a_reader_are_still_refused(data):
    proxy, reader = _proxy(data), Reader(data, "on_epoch_begin")
    with pytest.raises(ValueError, match="opened 0 times in epoch 2"):
        _fit(data, proxy, reader, train=data.train.batches(16).cache())
    images = np.zeros((16, SIZE, SIZE, 3), np.float32)
    with pytest.raises(ValueError, match="opened 0 times in epoch 1"):
        _model().fit(images, np.zeros(16), epochs=3, verbose=0, callbacks=[_proxy(data), reader])


@pytest.mark.parametrize("frequency", [2, 3, [2, 4]])
def test_plateau_waits_for_validations(data, frequency):
    proxy = _proxy(data, "plateau:1,min_delta:9.0")
    options = {"validation_data": data.val.batches(16), "validation_freq": frequency}
    _fit(data, proxy, epochs=6, **options)
    # The first validation is the best so far, and no later one improves on it by 9.
    expected = {2: [3, 5], 3: [5]}.get(frequency if isinstance(frequency, int) else 0, [3])
    assert [step.epoch for step in proxy.steps] == expected


def test_plateau_without_any_validation_warns_at_the_end(data):
    proxy = _proxy(data, "plateau:1")
    with pytest.warns(UserWarning, match="No proxies were made.*Pass validation_data"):
        _fit(data, proxy, epochs=2)


def test_a_deep_copy_trains_like_a_new_callback(data):
    original = _proxy(data, "plateau:1,min_delta:9.0,monitor:loss", agree=True)
    _, first = _fit(data, original)
    duplicate = copy.deepcopy([original])[0]
    assert duplicate.data is data.train and duplicate.steps == []
    assert duplicate.get_config() == original.get_config()
    _, second = _fit(data, duplicate)
    assert second == first
    assert [step.epoch for step in duplicate.steps] == [step.epoch for step in original.steps]
    assert duplicate.steps is not original.steps


def test_copies_of_a_callback_in_use_do_not_share_its_state(data):
    original = _proxy(data, "plateau:2,monitor:loss", wrong_from="train")
    duplicates = []

    class Copy(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            duplicates.append(copy.deepcopy(original))

    _fit(data, original, Copy())
    assert duplicates[1].get_state()[1] == {"schedule": {"best": np.inf, "waited": 0}, "steps": []}
    _fit(data, duplicates[1])


DEBUGGED = """
import keras, numpy as np, tensorflow as tf
from proxy_keras import ImageData, ProxyAttention
{mode}()
keras.utils.set_random_seed(0)
draw = np.random.default_rng(0)
images = draw.integers(0, 255, (60, 16, 16, 3), dtype=np.uint8)
data = ImageData.from_arrays(images, np.arange(60) % 3, progress=False)
image = keras.Input((16, 16, 3))
cells = keras.layers.Conv2D(4, 3)(image)
pooled = keras.layers.GlobalAveragePooling2D()(cells)
model = keras.Model(image, keras.layers.Dense(3)(pooled))
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
proxy = ProxyAttention(data.train, "1,p,1", select="all", subset=0.5, verbose=0)
model.fit(data.train.batches(8), epochs=3, callbacks=[proxy], shuffle=False, verbose=0)
print("made", proxy.steps[0].made)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "mode", ["tf.debugging.enable_check_numerics", "tf.data.experimental.enable_debug_mode"]
)
def test_tensorflow_s_own_checks_can_be_on(commands, mode):
    """In processes of their own, because they hold for a whole process."""
    done = commands.run("-c", DEBUGGED.format(mode=mode))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "made 21"
