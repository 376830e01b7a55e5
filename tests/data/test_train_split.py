"""DataSplit and TrainSplit: order, proxies at read time, and no stale example."""

import numpy as np
import pytest
import tensorflow as tf

from proxy_keras.augment import REPLACEMENTS, FlipAndRotate
from proxy_keras.augment.attenuation import attenuate
from proxy_keras.data.data_split import DataSplit
from proxy_keras.data.donor_bank import DonorBank
from proxy_keras.data.feature_store import FeatureStore
from proxy_keras.data.image_data import ImageData
from proxy_keras.data.proxy_maker import Attenuation
from proxy_keras.data.train_split import TrainSplit
from proxy_keras.heatmaps.eight_bit import dequantise, quantise
from proxy_keras.heatmaps.scaling import enlarge

N, SIZE = 40, 8
IMAGES = np.random.default_rng(0).integers(0, 256, (N + 10, SIZE, SIZE, 3), np.uint8)
LABELS = (np.arange(N) % 4).astype(np.int32)


class ArrayRows:
    image_size = SIZE

    def read(self, rows):
        return IMAGES[rows]


class ArrayStream:
    image_size = SIZE

    def stream(self, rows):
        kept = [(int(r), IMAGES[r]) for r in range(len(IMAGES)) if r in set(rows.tolist())]
        numbers = np.array([r for r, _ in kept])
        return tf.data.Dataset.from_tensor_slices((numbers, np.stack([i for _, i in kept])))


def _train(reader=None, **options):
    return TrainSplit(
        reader or ArrayRows(),
        np.arange(10, 10 + N),
        LABELS,
        [f"id-{n}" for n in range(N)],
        name="train",
        seed=3,
        classes=list("abcd"),
        **options,
    )


def _epoch(data, batch_size=16, **options):
    """All (image, label) of an epoch."""
    batches = list(data.batches(batch_size, **options))
    images = np.concatenate([i for i, _ in batches])
    return images, np.concatenate([y for _, y in batches])


def _positions(images):
    """Which original each image is; -1 where it is none."""
    same = (images[:, None] == IMAGES[None, 10:].astype(np.float32)).all(axis=(2, 3, 4))
    return np.where(same.any(axis=1), same.argmax(axis=1), -1)


@pytest.mark.parametrize("reader", [ArrayRows(), ArrayStream()])
def test_an_epoch_has_every_example_once_with_its_label(reader):
    images, labels = _epoch(_train(reader))
    positions = _positions(images)
    assert sorted(positions) == list(range(N))
    np.testing.assert_array_equal(labels, LABELS[positions])
    assert positions.tolist() != list(range(N))
    assert images.dtype == np.float32


@pytest.mark.parametrize("reader", [ArrayRows(), ArrayStream()])
def test_order_depends_on_seed_and_epoch_alone(reader):
    data = _train(reader)
    orders = []
    for epoch in (4, 4, 5):
        data.clock.begin(epoch)
        orders.append(_positions(_epoch(data)[0]).tolist())
    assert orders[0] == orders[1] != orders[2]


def test_epochs_differ_without_a_driver():
    data = _train()
    batches = data.batches(N)
    first, second = (next(iter(batches))[0].numpy() for _ in range(2))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("reader", [ArrayRows(), ArrayStream()])
def test_proxies_stand_in_for_their_originals_from_the_next_epoch_on(reader):
    data = _train(reader)
    data.attenuation = Attenuation(weight=1.0, replacement="blended")
    batches = data.batches(16)  # built before there is any proxy
    data.clock.begin(0)
    assert (_positions(np.concatenate([i for i, _ in batches])) >= 0).all()
    heat = np.zeros((2, 2, 2), np.float32)
    heat[:, 0, 0] = 1.0
    data.store.put(np.array([3, 30]), quantise(heat), np.array([0.5, 0.9], np.float32), epoch=0)
    data.clock.begin(1)
    parts = list(batches)
    images, labels = (np.concatenate([p[k] for p in parts]) for k in (0, 1))
    positions = _positions(images)
    assert len(images) == N
    assert sorted(set(range(N)) - set(positions.tolist())) == [3, 30]
    enlarged = enlarge(tf.constant(dequantise(quantise(heat))), (SIZE, SIZE))
    expected = 255 * attenuate(
        IMAGES[[13, 40]] / np.float32(255), enlarged, threshold=tf.constant([0.5, 0.9]), weight=1.0
    )
    proxies = images[positions < 0]
    for which, label in zip(expected.numpy(), LABELS[[3, 30]], strict=True):
        fits = np.abs(proxies - which).max(axis=(1, 2, 3)) < 1e-3
        assert fits.sum() == 1 and labels[positions < 0][fits] == [label]


# Inpainting has nothing to continue in an image that is hot everywhere.
@pytest.mark.parametrize("replacement", [name for name in REPLACEMENTS if name != "inpaint"])
def test_replacement_can_change_under_a_built_dataset(replacement):
    data = _train()
    batches = data.batches(N)
    data.store.put(
        np.array([7]), np.full((1, 2, 2), 255, np.uint8), np.array([0.5], np.float32), epoch=0
    )
    data.attenuation = Attenuation(0.5, replacement, colour=(1.0, 2.0, 3.0))
    images, labels = next(iter(batches))
    proxy = images.numpy()[_positions(images.numpy()) < 0]
    assert proxy.shape == (1, SIZE, SIZE, 3)
    original = IMAGES[17].astype(np.float32)
    expected = {
        "blended": original * 0.5,
        "mean": np.broadcast_to(original.mean(axis=(0, 1)), original.shape),
        "max": np.broadcast_to(original.max(axis=(0, 1)), original.shape),
        "min": np.broadcast_to(original.min(axis=(0, 1)), original.shape),
        "halfmax": np.broadcast_to(original.max(axis=(0, 1)) / 2, original.shape),
        "black": np.zeros_like(original),
        "white": np.full_like(original, 255.0),
        "mean_of_data": np.broadcast_to([1.0, 2.0, 3.0], original.shape),
        # There is no donor.
        "exchange": np.broadcast_to([1.0, 2.0, 3.0], original.shape),
    }
    if replacement in expected:
        np.testing.assert_allclose(proxy[0], expected[replacement], atol=1e-3)


def test_a_spread_cue_is_pasted_from_a_donor_and_its_own_is_replaced():
    data = _train()
    images = IMAGES[data.rows]
    # Position 7 has a mask on its left half, position 3 none; 5 is the only donor, hot at the top.
    masks = np.zeros((2, 2, 2), np.uint8)
    masks[1, :, 0] = 255
    data.store.put(
        np.array([3, 7]),
        masks,
        np.full([2], 0.5, np.float32),
        epoch=-1,
        chances=np.array([1.0, np.nan], np.float32),
    )
    top = np.array([[[255, 255], [0, 0]]], np.uint8)
    threshold = np.array([0.5], np.float32)
    donor = np.array([5]), data.labels[[5]], images[[5]], top, threshold
    data.donors = DonorBank(*donor, seed=0, other_class=False)
    data.attenuation = Attenuation(
        replacement="mean_of_data", colour=(9.0, 9.0, 9.0), is_spread=True
    )
    data.store.draw_shown(0, show=1.0)
    images_served = next(iter(data.batches(N)))[0].numpy()
    served = dict(zip(data.clock.feeds[-1].positions[0].tolist(), images_served, strict=True))
    half = SIZE // 2
    np.testing.assert_array_equal(served[3][:half], images[5][:half])
    np.testing.assert_array_equal(served[3][half:], images[3][half:])
    np.testing.assert_array_equal(served[7][:half], images[5][:half])
    np.testing.assert_allclose(served[7][half:, :half], 9.0)
    np.testing.assert_array_equal(served[7][half:, half:], images[7][half:, half:])
    np.testing.assert_array_equal(served[0], images[0])


def _with_proxies(reader):
    """A split of which two examples have a proxy, and a store of the features of its originals."""
    data = _train(reader)
    data.attenuation = Attenuation(weight=1.0, replacement="blended")
    heat = quantise(np.ones((2, 2, 2), np.float32))
    data.store.put(np.array([3, 30]), heat, np.array([0.5, 0.5], np.float32), epoch=0)
    return data, FeatureStore(np.arange(2 * N, dtype=np.float32).reshape(N, 2))


@pytest.mark.parametrize("reader", [ArrayRows(), ArrayStream()])
def test_features_stand_in_for_originals_and_proxies_stay_images(reader):
    data, features = _with_proxies(reader)
    data.original_weight = 0.5
    for epoch in range(2):
        data.clock.begin(epoch)
        expected = list(data.batches(16))
        data.clock.begin(epoch)
        for (inputs, labels, weights), batch in zip(
            data.batches(16, features=features), expected, strict=True
        ):
            images = np.asarray(batch[0])
            positions, is_image = _positions(images), np.asarray(inputs["is_image"])
            np.testing.assert_array_equal(is_image, positions < 0)
            np.testing.assert_array_equal(inputs["images"], images[is_image])
            np.testing.assert_array_equal(
                np.asarray(inputs["features"])[~is_image], features.originals[positions[~is_image]]
            )
            np.testing.assert_array_equal(labels, batch[1])
            np.testing.assert_array_equal(weights, batch[2])


def test_only_images_without_known_features_are_read():
    read = []

    class Rows(ArrayRows):
        def read(self, rows):
            read.extend(rows.tolist())
            return super().read(rows)

    data, features = _with_proxies(Rows())
    for _ in data.batches(16, features=features):
        pass
    # Positions 3 and 30, of the reader's rows from 10 on.
    assert sorted(read) == [13, 40]
    read.clear()
    for _ in data.batches(16):
        pass
    assert sorted(read) == [*range(10, 10 + N)]


def test_features_of_proxies_are_served_if_they_are_known():
    data, features = _with_proxies(ArrayRows())
    # The other proxy looks like its original.
    features.put_proxies(np.array([30]), np.array([[-1.0, -2.0]], np.float32))
    data.clock.begin(0)
    served = [inputs for inputs, _ in data.batches(16, features=features)]
    assert not any(np.asarray(inputs["is_image"]).any() for inputs in served)
    assert {tuple(inputs["images"].shape) for inputs in served} == {(0, SIZE, SIZE, 3)}
    expected = features.originals.copy()
    expected[30] = -1.0, -2.0
    rows = np.concatenate([inputs["features"] for inputs in served])
    assert sorted(rows.tolist()) == sorted(expected.tolist())
    features.forget_proxies()
    data.clock.begin(1)
    served = [inputs for inputs, _ in data.batches(16, features=features)]
    assert sum(np.asarray(inputs["is_image"]).sum() for inputs in served) == 2


def test_features_of_originals_come_in_order():
    features = FeatureStore(np.arange(2 * N, dtype=np.float32).reshape(N, 2))
    batches = list(features.batches(16, LABELS))
    assert [len(labels) for _, labels in batches] == [16, 16, 8]
    rows = np.concatenate([inputs["features"] for inputs, _ in batches])
    np.testing.assert_array_equal(rows, features.originals)
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in batches]), LABELS)


def test_an_original_that_has_a_proxy_can_count_less():
    data = _train()
    data.original_weight = 0.25
    data.store.put(
        np.arange(N), np.full((N, 2, 2), 255, np.uint8), np.full([N], 0.5, np.float32), epoch=0
    )
    data.attenuation = Attenuation(replacement="black")
    data.store.draw_shown(1, show=0.5)
    images, _, weights = next(iter(data.batches(N)))
    is_black = (images.numpy() == 0).all(axis=(1, 2, 3))
    assert 0 < is_black.sum() < N
    np.testing.assert_array_equal(weights.numpy(), np.where(is_black, 1.0, 0.25))


def test_augmentation_comes_after_the_proxies_and_is_keyed():
    data = _train()
    augment = FlipAndRotate(flip=1.0, degrees=0.0)
    data.clock.begin(2)
    plain = _epoch(data)[0]
    data.clock.begin(2)
    np.testing.assert_array_equal(_epoch(data, augment=augment)[0], plain[:, :, ::-1])
    random = FlipAndRotate(degrees=30.0)
    runs = []
    for epoch in (2, 2, 3):
        data.clock.begin(epoch)
        runs.append(_epoch(data, augment=random)[0])
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_originals_are_in_order_and_never_proxies():
    data = _train()
    data.store.put(
        np.array([2]), np.full((1, 1, 1), 255, np.uint8), np.zeros(1, np.float32), epoch=0
    )
    parts = list(data.originals(16).as_numpy_iterator())
    np.testing.assert_array_equal(np.concatenate([p for p, _, _ in parts]), np.arange(N))
    np.testing.assert_array_equal(np.concatenate([i for _, i, _ in parts]), IMAGES[10:])
    np.testing.assert_array_equal(np.concatenate([y for _, _, y in parts]), LABELS)


@pytest.mark.parametrize("reader", [ArrayRows(), ArrayStream()])
def test_originals_of_chosen_positions(reader):
    positions, images, labels = next(iter(_train(reader).originals(8, np.array([30, 2, 9]))))
    np.testing.assert_array_equal(positions, [2, 9, 30])
    np.testing.assert_array_equal(images, IMAGES[[12, 19, 40]])
    np.testing.assert_array_equal(labels, LABELS[[2, 9, 30]])


def test_cardinality_is_known_and_one_hot_labels_are_given():
    data = _train()
    assert data.batches(16).cardinality() == 3
    _, labels = _epoch(data, one_hot=True)
    assert labels.shape == (N, 4) and (labels.sum(axis=1) == 1).all()
    subset = DataSplit(
        ArrayRows(), [0, 1], [1, 3], ["a", "b"], name="val", seed=0, classes=list("abcd")
    )
    _, labels = next(iter(subset.batches(2, one_hot=True)))
    np.testing.assert_array_equal(labels, np.eye(4)[[1, 3]])


@pytest.mark.parametrize("reader", [ArrayRows(), ArrayStream()])
def test_finish_sees_images_and_their_rows(reader):
    def stamp(images, rows):
        stamped = images.copy()
        stamped[:, 0, 0, 0] = rows
        return stamped

    images, labels = _epoch(_train(reader, finish=stamp))
    np.testing.assert_array_equal(LABELS[images[:, 0, 0, 0].astype(int) - 10], labels)


def test_bad_batch_size_is_refused():
    with pytest.raises(ValueError, match="`batch_size` must be >= 1"):
        _train().batches(0)


def test_weights_follow_their_examples() -> None:
    images = np.repeat(np.arange(20, dtype=np.uint8), 8 * 8 * 3).reshape(20, 8, 8, 3)
    split = ImageData.from_arrays(images, np.arange(20) % 2, val=0.2, test=0.2).train
    pixels = {at: int(images[row, 0, 0, 0]) for at, row in enumerate(split.rows)}
    weights = np.array([pixels[at] / 4.0 for at in range(len(split))], np.float32)
    seen = 0
    for shown, _, in_loss in split.batches(5, weights=weights):
        np.testing.assert_array_equal(in_loss, shown[:, 0, 0, 0] / 4.0)
        seen += len(in_loss)
    assert seen == len(split)
