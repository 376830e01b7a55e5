"""Heatmaps for augmentations: aligned to the images, made when due, identical after a resume."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import proxy_keras
from proxy_keras import augment
from proxy_keras.augment import Compose, FlipAndRotate
from proxy_keras.data import ImageData
from proxy_keras.data.heatmap_store import MapStore
from proxy_keras.heatmaps.eight_bit import dequantise, quantise
from proxy_keras.settings import DataConfig, TrainConfig
from proxy_keras.training.checkpoint import RunCheckpoint
from proxy_keras.training.count_epochs import CountEpochs
from proxy_keras.training.fitting import augmentation
from proxy_keras.training.heatmap_providers import FrozenTeacher, RefreshMaps, map_callback

SIZE, CLASSES = 8, 3


@pytest.fixture
def data():
    """60 different random images in three classes."""
    images = np.random.default_rng(0).integers(0, 256, (60, SIZE, SIZE, 3)).astype(np.uint8)
    return ImageData.from_arrays(images, np.arange(60) % CLASSES, seed=0, progress=False)


def _model(seed=0, size=SIZE, classes=CLASSES):
    keras.utils.set_random_seed(seed)
    image = keras.Input((size, size, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.MaxPooling2D()(x))
    model = keras.Model(image, keras.layers.Dense(classes)(keras.layers.Dropout(0.2)(x)))
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(0.01), loss, metrics=["accuracy"])
    return model


def _originals(data):
    """Return all training images and labels, by position."""
    parts = list(data.train.originals(100).as_numpy_iterator())
    return parts[0][1], parts[0][2]


class Probe(augment.BatchLayer):
    """An augmentation that returns its heatmaps as images."""

    needs_maps = True

    def augment(self, batch, seed):
        return tf.repeat(batch.heatmaps[..., None], 3, axis=-1), batch.labels


def test_maps_are_flipped_and_rotated_with_their_images(data):
    images, _ = _originals(data)
    data.train.maps.replace(images[..., 0].astype(np.uint8))
    geometry = FlipAndRotate(0.5, 30.0)
    data.train.clock.begin(0)
    plain = list(data.train.batches(7, one_hot=True, augment=Compose([geometry])))
    data.train.clock.begin(0)
    maps = list(data.train.batches(7, one_hot=True, augment=Compose([geometry, Probe()])))
    for (image, label), (heat, same) in zip(plain, maps, strict=True):
        np.testing.assert_array_equal(label, same)
        np.testing.assert_allclose(image[..., 0], 255.0 * heat[..., 0], atol=1e-3)
    assert not np.array_equal(plain[0][0], images[:7])


def test_coarse_maps_are_flipped_exactly():
    maps = tf.constant(np.random.default_rng(0).random((9, 3, 4)), tf.float32)
    made = FlipAndRotate(0.5, 0.0).apply_to_maps(maps, tf.constant([1, 0], tf.int64))
    flipped = [not np.array_equal(one, of) for one, of in zip(made, maps, strict=True)]
    assert 0 < sum(flipped) < 9
    for one, of, is_flipped in zip(made.numpy(), maps.numpy(), flipped, strict=True):
        np.testing.assert_array_equal(one, of[:, ::-1] if is_flipped else of)
    back = FlipAndRotate(0.5, 0.0).undo(made, tf.constant([1, 0], tf.int64))
    np.testing.assert_array_equal(back, maps)


def test_augmentations_that_need_maps_must_come_first():
    layer, mixup = augment.get("saliencymix"), augment.get("mixup")
    assert Compose([FlipAndRotate(), layer, mixup]).needs_maps
    assert not Compose([FlipAndRotate(), mixup]).needs_maps
    with pytest.raises(ValueError, match="SaliencyMix needs .* no longer match after MixUp"):
        Compose([FlipAndRotate(), mixup, FlipAndRotate(), layer])


def test_maps_are_those_of_explain_refreshed_at_the_right_epochs(data):
    images, labels = _originals(data)
    model, seen, wanted = _model(), [], []
    maps = RefreshMaps(data.train, every=2, batch_size=16)

    class Watch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            seen.append(data.train.maps.heatmaps)

        def on_epoch_end(self, epoch, logs=None):
            heat = proxy_keras.explain(self.model, images, "grad_cam", class_ids=labels)
            wanted.append(quantise(heat))

    batches = data.train.batches(16, one_hot=True, augment=augment.get("attentive_cutmix"))
    model.fit(batches, epochs=4, verbose=0, shuffle=False, callbacks=[maps, Watch()])
    assert [heat.shape[1] for heat in seen] == [1, 1, 8, 8]
    for epoch, made in ((2, 1), (3, 1)):
        np.testing.assert_allclose(dequantise(seen[epoch]), dequantise(wanted[made]), atol=0.01)
    # No refresh after the last epoch.
    np.testing.assert_array_equal(data.train.maps.heatmaps, seen[3])
    maps.on_epoch_begin(0)
    assert data.train.maps.is_blank


def _train(images, folder, stop):
    """Train until the end of an epoch, resuming from the checkpoints in the folder."""
    data = ImageData.from_arrays(images, np.arange(40) % CLASSES, seed=0, progress=False)
    model = _model()
    maps = map_callback("self:2", data.train, batch_size=16)
    checkpoint = RunCheckpoint(folder, None, maps, monitor="accuracy")
    done = checkpoint.resume(model)
    # Stopping from within keeps `epochs`, on which the refreshes depend.
    killed = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: setattr(model, "stop_training", epoch + 1 == stop)
    )
    layer = augment.get("attentive_cutmix", cells=12)
    model.fit(
        data.train.batches(16, one_hot=True, augment=Compose([FlipAndRotate(), layer])),
        epochs=5,
        initial_epoch=done,
        verbose=0,
        shuffle=False,
        callbacks=[CountEpochs(data.train), maps, checkpoint, killed],
    )
    return model


@pytest.mark.slow
def test_a_resumed_run_ends_the_same(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, SIZE, SIZE, 3)).astype(np.uint8)
    for name in ("whole", "half"):
        (tmp_path / name).mkdir()
    whole = _train(images, tmp_path / "whole", 4)
    _train(images, tmp_path / "half", 3)
    half = _train(images, tmp_path / "half", 4)
    for one, two in zip(whole.variables, half.variables, strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_teachers_maps_are_those_of_explain(data, tmp_path):
    images, _ = _originals(data)
    teacher = _model(seed=3, classes=7)
    teacher.save(tmp_path / "teacher.keras")
    FrozenTeacher(data.train, tmp_path / "teacher.keras", batch_size=16).on_train_begin()
    want = proxy_keras.explain(teacher, images, "grad_cam")
    assert want.max() == 1.0
    np.testing.assert_array_equal(data.train.maps.heatmaps, quantise(want))
    # A resumed run does not run the teacher again: its file may have changed.
    again = FrozenTeacher(data.train, tmp_path / "teacher.keras")
    again.set_state({"heatmaps": data.train.maps.heatmaps // 2})
    again.on_train_begin()
    np.testing.assert_array_equal(again.get_state()["heatmaps"], quantise(want) // 2)


def test_an_unsuitable_teacher_is_refused(data, tmp_path):
    _model(size=10).save(tmp_path / "large.keras")
    with pytest.raises(ValueError, match="takes images of 10 x 10 .* images of 8 pixels"):
        FrozenTeacher(data.train, tmp_path / "large.keras")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        map_callback(str(tmp_path / "none.keras"), data.train, batch_size=4)


def test_maps_and_proxies_work_together(data):
    proxy = proxy_keras.ProxyAttention(
        data.train, "p,1", select="all", subset=1.0, threshold=0.2, weight=1.0, verbose=0
    )
    maps = RefreshMaps(data.train, every=1)
    model = keras.models.clone_model(_model())
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    batches = data.train.batches(
        16, one_hot=True, augment=Compose([FlipAndRotate(), augment.get("snapmix")])
    )
    history = model.fit(batches, epochs=2, verbose=0, shuffle=False, callbacks=[proxy, maps])
    assert history.history["proxies"][-1] > 0 and not data.train.maps.is_blank
    assert np.isfinite(history.history["loss"]).all()


def test_store_keeps_what_fits():
    store = MapStore(3)
    np.testing.assert_array_equal(store.look_up(np.array([2, 0])), np.zeros((2, 1, 1)))
    assert store.get_state() == {}
    maps = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    store.replace(maps)
    np.testing.assert_array_equal(store.look_up(np.array([1])), maps[[1]] / np.float32(255))
    other = MapStore(3)
    other.set_state(store.get_state())
    np.testing.assert_array_equal(other.heatmaps, maps)
    other.set_state({})
    assert other.is_blank
    with pytest.raises(ValueError, match=r"must be \[3, h, w\] uint8"):
        store.replace(maps[:2])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("self:0", "self:N refreshes the heatmaps every N epochs"),
        ("self:x", "Received: 'self:x'"),
        ("", "must be self:N"),
    ],
)
def test_invalid_sources_are_refused(source, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(DataConfig("digits"), augment_maps=source)


def test_a_recipe_without_maps_says_what_is_missing():
    config = TrainConfig(DataConfig("digits"), augment=("mixup", "snapmix"))
    with pytest.raises(ValueError, match="snapmix needs heatmaps. .* --aug-maps self:3"):
        augmentation(config)
    for name in ("snapmix", "saliencymix:saliency=image"):
        maps = "self:3" if name == "snapmix" else None
        augmentation(TrainConfig(DataConfig("digits"), augment=(name,), augment_maps=maps))
    with pytest.raises(ValueError, match="`every` must be >= 1"):
        RefreshMaps(None, every=0)
