"""What replicas and workers share, and that it is the same for all of them."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from proxy_keras import ProxyAttention
from proxy_keras.data import ImageData
from proxy_keras.distribution import Team, WorkerLost

SIZE, CLASSES = 8, 3


class OneOfTwo(Team):
    """A worker of two, which gets what the other one would send from a list."""

    def __init__(self, worker, received):
        super().__init__(worker=worker, workers=2)
        self._received = list(received)
        self.sent = []

    def gather(self, rows):
        self.sent.append(rows)
        received = self._received.pop(0)
        return np.concatenate([rows, received] if self.is_chief else [received, rows])


@pytest.fixture
def data():
    draw = np.random.default_rng(0)
    labels = np.arange(63) % CLASSES
    images = (60 * labels)[:, None, None, None] + draw.integers(0, 60, (63, SIZE, SIZE, 3))
    return ImageData.from_arrays(images.astype(np.uint8), labels, seed=0, progress=False)


@pytest.fixture
def model(mirrored):
    with mirrored.scope():
        image = keras.Input((SIZE, SIZE, 3))
        x = keras.layers.Rescaling(1 / 255)(image)
        x = keras.layers.Conv2D(4, 3)(x)
        x = keras.layers.BatchNormalization(momentum=0.5)(x)
        x = keras.layers.Dropout(0.2)(keras.layers.GlobalAveragePooling2D()(x))
        model = keras.Model(image, keras.layers.Dense(CLASSES)(x))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.1), loss, metrics=["accuracy"])
    return model


def _distributed(team, subset, batch_size):
    return team.distribute(partial(subset.batches, batch_size), -(-len(subset) // batch_size))


def _fit(team, model, data, epochs, *callbacks, batch_size=14, **options):
    val_size = team.evaluation_batch_size(len(data.val), len(data.val) - 1)
    with team.training(model) as first:
        return model.fit(
            _distributed(team, data.train, batch_size),
            validation_data=_distributed(team, data.val, val_size),
            epochs=epochs,
            verbose=0,
            shuffle=False,
            callbacks=[*first, *callbacks],
            **options,
        )


def test_a_team_of_one_changes_nothing():
    team = Team()
    team.check_batch_size(7)
    team.check_agreement({"seed": 1})
    values = np.arange(6.0).reshape(3, 2)
    assert team.is_chief and team.replicas == 1 and team.parts is None
    assert team.share(3, 2).tolist() == [0, 1, 2]
    np.testing.assert_array_equal(
        team.merge_rows(values, np.arange(3), np.array([0, 2])), values[[0, 2]]
    )
    assert team.from_chief({"a": 1}) == {"a": 1}


def test_shares_are_whole_batches_and_cover_all():
    shares = [Team(worker=worker, workers=2).share(11, 3).tolist() for worker in range(2)]
    assert shares == [[0, 1, 2, 6, 7, 8], [3, 4, 5, 9, 10]]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_rows_of_the_other_worker_are_merged(dtype):
    whole = np.arange(10).reshape(5, 2).astype(dtype)
    wanted = np.array([0, 2, 3, 4])
    shares = [np.array([0, 1, 4]), np.array([2, 3])]
    for worker, (mine, theirs) in enumerate([shares, shares[::-1]]):
        values = np.zeros_like(whole)
        values[mine] = whole[mine]
        others = np.intersect1d(theirs, wanted)
        team = OneOfTwo(worker, [others, whole[others]])
        merged = team.merge_rows(values, mine, wanted)
        assert merged.dtype == dtype
        np.testing.assert_array_equal(merged, whole[wanted])


def test_workers_that_differ_are_told_in_what():
    same = OneOfTwo(0, [np.zeros([0, 2, 32], np.uint8)])
    same.check_agreement({"seed": 1, "split": "a"})
    other = OneOfTwo(1, same.sent)
    with pytest.raises(ValueError, match=r"differ in: split\. .*Here: \{'split': 'b'\}"):
        other.check_agreement({"seed": 1, "split": "b"})


def test_all_get_the_chiefs_value():
    chief = OneOfTwo(0, [np.zeros([0], np.uint8)])
    assert chief.from_chief({"é": 1.5}) == {"é": 1.5}
    assert OneOfTwo(1, chief.sent).from_chief(None) == {"é": 1.5}


def test_batches_must_divide(mirrored):
    team = Team(mirrored)
    team.check_batch_size(6)
    with pytest.raises(
        ValueError, match="multiple of their number. Received: 7. Use for example 8"
    ):
        team.check_batch_size(7)


@pytest.mark.parametrize(
    ("examples", "batch_size", "size"), [(8, 4, 4), (6, 4, 4), (5, 4, 3), (5, 2, 3), (2, 8, 8)]
)
def test_no_replica_validates_nothing(mirrored, examples, batch_size, size):
    assert Team(mirrored).evaluation_batch_size(examples, batch_size) == size
    assert Team().evaluation_batch_size(examples, batch_size) == batch_size


def test_a_validation_split_that_is_too_small(mirrored):
    with pytest.raises(ValueError, match="2 replicas cannot share 1 validation examples"):
        Team(mirrored).evaluation_batch_size(1, 8)


@pytest.mark.parametrize(
    ("error", "workers", "raised", "message"),
    [
        (tf.errors.UnavailableError, 2, WorkerLost, "another worker has stopped.*says: broken"),
        (tf.errors.UnavailableError, 1, tf.errors.UnavailableError, "broken"),
        (tf.errors.InvalidArgumentError, 2, tf.errors.InvalidArgumentError, "broken"),
    ],
)
def test_a_lost_worker_is_told(mirrored, model, error, workers, raised, message):
    with (
        pytest.raises(raised, match=message),
        Team(mirrored, workers=workers).training(model),
    ):
        raise error(None, None, "broken")


@pytest.mark.slow
def test_replicas_end_with_the_same_statistics_and_validate_as_one(mirrored, model, data):
    # A last batch of one image, for two replicas.
    assert len(data.train) % 22 == 1
    history = _fit(Team(mirrored), model, data, 2, batch_size=22).history
    for variable in model.variables:
        first, second = (part.numpy() for part in variable.value.values)
        np.testing.assert_array_equal(first, second, err_msg=variable.path)
    images, labels = next(data.val.batches(len(data.val)).as_numpy_iterator())
    logits = model(images, training=False).numpy()
    losses = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    assert history["val_loss"][-1] == pytest.approx(float(np.mean(losses)), rel=1e-5)
    right = (logits.argmax(axis=1) == labels).mean()
    assert history["val_accuracy"][-1] == pytest.approx(right, rel=1e-6)


@pytest.mark.slow
def test_statistics_are_the_mean_over_the_replicas(mirrored, model, data):
    seen = []

    class Before(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            value = model.layers[3].moving_mean.value
            seen.append(np.mean([part.numpy() for part in value.values], axis=0))

    _fit(Team(mirrored), model, data, 1, Before())
    np.testing.assert_allclose(model.layers[3].moving_mean.numpy(), seen[-1], rtol=1e-6)


@pytest.mark.slow
def test_proxies_with_parts_and_an_epoch_that_is_cut_short(mirrored, model, data):
    proxy = ProxyAttention(data.train, "p,1", select="all", verbose=0)
    _fit(Team(mirrored), model, data, 2, proxy)
    assert proxy.steps[0].chosen == round(0.2 * len(data.train))
    with pytest.raises(ValueError, match="An epoch of 2 steps does not read all 4 batches"):
        _fit(Team(mirrored), model, data, 2, proxy, steps_per_epoch=2)
