"""ProxyAttention in `fit`: the effects of a step, what it leaves unchanged, and its errors."""

import csv

import keras
import numpy as np
import pytest
import tensorflow as tf

from proxy_keras import ProxyAttention, every, explain
from proxy_keras.data import ImageData
from proxy_keras.data.proxy_maker import Attenuation
from proxy_keras.heatmaps.eight_bit import dequantise
from proxy_keras.heatmaps.scaling import enlarge
from proxy_keras.settings import ProxyConfig

SIZE, CLASSES = 8, 3


@pytest.fixture
def data():
    """90 noisy images of three brightnesses; some labels are wrong, so some are misclassified."""
    draw = np.random.default_rng(0)
    labels = np.arange(90) % CLASSES
    levels = np.where(draw.random(90) < 0.3, draw.integers(CLASSES, size=90), labels)
    images = (60 * levels)[:, None, None, None] + draw.integers(0, 60, (90, SIZE, SIZE, 3))
    return ImageData.from_arrays(images.astype(np.uint8), labels, seed=0, progress=False)


def _model(seed=0, dropout=0.0, dtype=None):
    keras.utils.set_random_seed(seed)
    image = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Rescaling(1 / 255, dtype=dtype)(image)
    x = keras.layers.Conv2D(4, 3, padding="same", dtype=dtype)(x)
    x = keras.layers.BatchNormalization(dtype=dtype)(x)
    x = keras.layers.ReLU(name="last", dtype=dtype)(x)
    x = keras.layers.MaxPooling2D(dtype=dtype)(x)
    x = keras.layers.GlobalAveragePooling2D(dtype=dtype)(x)
    x = keras.layers.Dropout(dropout, dtype=dtype)(x)
    return keras.Model(image, keras.layers.Dense(CLASSES, dtype="float32")(x))


def _compiled(model=None, **options):
    model = model or _model()
    model.compile(
        keras.optimizers.SGD(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        **options,
    )
    return model


# Batches of one size: Keras would trace the step again for a smaller last one.
def _fit(proxy, data, epochs, model=None, callbacks=(), batch_size=21, **options):
    model = model or _compiled()
    return model.fit(
        data.train.batches(batch_size),
        epochs=epochs,
        verbose=0,
        shuffle=False,
        callbacks=[proxy, *callbacks],
        **options,
    )


class SeenImages(keras.callbacks.Callback):
    """Collects, per epoch, the originals that `fit` did not receive, from a `KeepingModel`."""

    def __init__(self, data):
        super().__init__()
        parts = list(data.train.originals(64).as_numpy_iterator())
        self.originals = np.concatenate([images for _, images, _ in parts])
        self.changed = []

    def on_epoch_begin(self, epoch, logs=None):
        self.model.seen = []

    def on_epoch_end(self, epoch, logs=None):
        images = np.concatenate(self.model.seen)
        same = (images[:, None] == self.originals[None]).all(axis=(2, 3, 4))
        missing = np.flatnonzero(~same.any(axis=0))
        self.changed.append(set(missing.tolist()))
        assert len(images) == len(self.originals)


class KeepingModel(keras.Model):
    """A model that keeps the images of its training steps, outside the graph."""

    seen: list

    def train_step(self, batch):
        def keep(images):
            self.seen.append(images)
            return np.int32(0)

        with tf.control_dependencies([tf.numpy_function(keep, [batch[0]], tf.int32)]):
            return super().train_step(batch)


def _keeping(**options):
    inner = _model()
    model = KeepingModel(inner.inputs, inner.outputs)
    return _compiled(model, **options)


@pytest.mark.parametrize("steps_per_execution", [1, 3])
def test_each_epoch_trains_on_the_proxies_of_the_step_before_it(data, steps_per_execution):
    made = []
    proxy = ProxyAttention(
        data.train, "1,p,1,p,1", threshold=0.0, weight=1.0, subset=0.5, select="all", verbose=0
    )
    seen = SeenImages(data)

    class Made(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            positions = data.train.store.positions
            made.append(set(positions.tolist()))

    _fit(
        proxy,
        data,
        5,
        model=_keeping(steps_per_execution=steps_per_execution),
        callbacks=[Made(), seen],
    )
    assert seen.changed == made  # no stale example in any epoch
    assert made[0] == made[1] == set() and made[2] == made[3] and made[2] != made[4]
    assert len(made[4]) == len(data.train) // 2


def test_step_counts_what_it_did(data):
    proxy = ProxyAttention(data.train, "p,1", subset=0.5, threshold=0.5, verbose=0)
    history = _fit(proxy, data, 2).history
    (step,) = proxy.steps
    assert step.epoch == 0 and step.wrong > 4
    assert step.chosen == round(step.wrong / 2) and step.made == step.chosen - step.blank
    assert 0.0 < step.replaced < 1.0
    assert history["proxies"] == [step.made, step.made]
    assert history["proxy_wrong"] == [step.wrong, 0]
    assert history["proxy_replaced"] == [pytest.approx(step.replaced), 0]


def test_wrong_count_is_the_models_own(data):
    counts = []

    class Count(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            for _, images, labels in data.train.originals(128):
                answers = keras.ops.argmax(self.model(images, training=False), axis=1)
                counts.append(int((answers.numpy() != labels.numpy()).sum()))

    proxy = ProxyAttention(data.train, "p,1", verbose=0)
    _fit(proxy, data, 2, callbacks=[Count()])
    assert proxy.steps[0].wrong == counts[0]


@pytest.mark.parametrize("method", ["grad_cam_plus_plus", "faster_score_cam"])
def test_a_step_leaves_the_model_as_it_was(data, method):
    model = _compiled(_model(dropout=0.5))
    options = {"channels": 2} if method == "faster_score_cam" else {}
    proxy = ProxyAttention(data.train, "p,1", method, method_options=options, verbose=0)
    model.fit(data.train.batches(16), verbose=0, shuffle=False)  # builds everything
    proxy.prepare(model, 2)
    before = [v.numpy() for v in [*model.variables, *model.optimizer.variables]]
    nodes = [len(layer._inbound_nodes) for layer in model.layers]
    proxy.run_step(0)
    after = [v.numpy() for v in [*model.variables, *model.optimizer.variables]]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
    assert nodes == [len(layer._inbound_nodes) for layer in model.layers]
    assert all(layer.trainable for layer in model.layers)
    assert len(data.train.store) > 0


@pytest.mark.parametrize("method", ["grad_cam", "layer_cam", "score_cam", "faster_score_cam"])
@pytest.mark.parametrize("engine", ["compiled", "tf-keras-vis"])
def test_every_method_and_engine_makes_proxies(data, method, engine):
    options = {"channels": 3} if method == "faster_score_cam" else {}
    proxy = ProxyAttention(
        data.train, "p,1", method, engine=engine, method_options=options, verbose=0
    )
    _fit(proxy, data, 2)
    assert proxy.steps[0].made > 0


def test_keep_epochs_clear_and_accumulate(data):
    common = {"select": "all", "subset": 0.3, "verbose": 0}
    sizes = {}
    for name, schedule, options in [
        ("cleared", "p,p,2", {}),
        ("kept", "p,p,2", {"clear_every_step": False}),
        ("expired", "p,1,1,1", {"keep_epochs": 2}),
        ("c", "p,1,c,2", {}),
    ]:
        proxy = ProxyAttention(data.train, schedule, **common, **options)
        sizes[name] = _fit(proxy, data, 4).history["proxies"]
    n = round(0.3 * len(data.train))
    assert sizes["cleared"] == [n, n, n, n]
    assert sizes["kept"][0] == n < sizes["kept"][1] == sizes["kept"][3] <= 2 * n
    assert sizes["expired"] == [n, n, n, 0]
    assert sizes["c"] == [n, n, 0, 0]


def test_proxies_off_does_the_work_and_serves_originals(data):
    proxy = ProxyAttention(
        data.train, "p,2", select="all", threshold=0.0, control="proxies_off", verbose=0
    )
    seen = SeenImages(data)
    _fit(proxy, data, 3, model=_keeping(), callbacks=[seen])
    assert seen.changed == [set(), set(), set()]
    assert proxy.steps[0].made > 0 and len(data.train.store) == proxy.steps[0].made


def test_random_mask_moves_the_same_maps_among_the_same_images(data):
    states, shares = {}, {}
    for control in (None, "random_mask"):
        proxy = ProxyAttention(
            data.train, "p,1", subset=1.0, threshold=0.7, control=control, verbose=0
        )
        _fit(proxy, data, 2)
        states[control] = data.train.store.get_state()
        shares[control] = proxy.steps[0].replaced
    # Equal areas, although a map shifted to a border would cover a different one there.
    assert shares["random_mask"] == pytest.approx(shares[None], abs=1e-6)
    plain, moved = states[None], states["random_mask"]
    np.testing.assert_array_equal(plain["positions"], moved["positions"])
    assert not np.array_equal(plain["heatmaps"], moved["heatmaps"])
    assert sorted(m.sum() for m in plain["heatmaps"]) == sorted(m.sum() for m in moved["heatmaps"])


def test_erasing_puts_a_square_of_the_same_mean_area_into_the_same_images(data):
    common = {"threshold": 0.5, "weight": 1.0, "subset": 1.0, "verbose": 0}
    proxy = ProxyAttention(data.train, "p,1", **common)
    _fit(proxy, data, 2)
    positions = data.train.store.get_state()["positions"]
    control = ProxyAttention(data.train, "p,1", control="erasing", **common)
    seen = SeenImages(data)
    _fit(control, data, 2, model=_keeping(), callbacks=[seen])
    state = data.train.store.get_state()
    np.testing.assert_array_equal(state["positions"], positions)
    assert seen.changed[1] == set(positions.tolist())
    covered = (state["heatmaps"] == 255).mean()
    assert covered == pytest.approx(proxy.steps[0].replaced, abs=1 / 32)


def test_cold_region_attenuates_the_background(data):
    shares = []
    for region in ("hot", "cold"):
        proxy = ProxyAttention(
            data.train, "p,1", region=region, threshold=0.5, subset=1.0, verbose=0
        )
        _fit(proxy, data, 2)
        shares.append(proxy.steps[0].replaced)
        maps = data.train.store.get_state()["heatmaps"]
        assert maps.max() == 255
    # At threshold 0.5 the two regions are complements, except for heat of exactly 0.5.
    assert sum(shares) == pytest.approx(1.0, abs=0.02)


def test_max_area_caps_every_image(data):
    proxy = ProxyAttention(
        data.train, "p,1", threshold=0.0, max_area=0.1, select="all", subset=1.0, verbose=0
    )
    _fit(proxy, data, 2)
    assert 0.0 < proxy.steps[0].replaced <= 0.1
    state = data.train.store.get_state()
    enlarged = enlarge(tf.constant(dequantise(state["heatmaps"])), (SIZE, SIZE))
    hot = (enlarged.numpy() >= state["thresholds"][:, None, None]).mean(axis=(1, 2))
    assert len(hot) == len(data.train) and hot.max() <= 0.1


def test_blank_maps_are_counted_and_left_alone(data):
    model = _compiled()
    model.layers[-1].set_weights([np.zeros((4, CLASSES), np.float32), np.ones(CLASSES, np.float32)])
    model.optimizer.learning_rate = 0.0
    proxy = ProxyAttention(data.train, "p,1", select="all", subset=1.0, verbose=0)
    _fit(proxy, data, 2, model=model)
    assert proxy.steps[0].blank == proxy.steps[0].chosen == len(data.train)
    assert len(data.train.store) == 0


def test_config_reads_back(data):
    @keras.saving.register_keras_serializable("test")
    def share(epoch):
        return 0.1 * (epoch + 1)

    proxy = ProxyAttention(
        data.train, every(2), "layer_cam", subset=share, show=0.5, max_area=0.2, verbose=0
    )
    copy = ProxyAttention.from_config(proxy.get_config(), data=data.train)
    assert copy.config == proxy.config
    assert copy.get_config() == proxy.get_config()
    assert copy._subset(3) == pytest.approx(0.4)


def test_shared_settings_equal_the_arguments(data):
    config = ProxyConfig(schedule="2,p,1", select="loss", show=0.5, control="random_mask")
    proxy = ProxyAttention.from_settings(data.train, config)
    assert proxy.config == config


@pytest.mark.parametrize(
    ("serve", "steps_per_epoch", "message"),
    [
        (lambda d: d.train.batches(16).repeat(), 3, "of 3 steps does not read .* 4 batches"),
        (lambda d: d.train.batches(16), 2, "of 2 steps does not read"),
        (lambda d: d.train.batches(16).take(2), None, "of 2 steps does not read"),
        (lambda d: d.train.batches(16).cache(), None, "opened 0 times in epoch 2"),
        (lambda d: d.val.batches(4), None, "opened 0 times in epoch 1"),
        (lambda d: d.train.originals(16).map(lambda p, x, y: (x, y)), None, "opened 0 times"),
    ],
    ids=["repeat", "part of an epoch", "take", "cache", "another split", "originals"],
)
def test_datasets_that_would_serve_stale_proxies_are_refused(data, serve, steps_per_epoch, message):
    proxy = ProxyAttention(data.train, "p,2", verbose=0)
    with pytest.raises(ValueError, match=f"{message}.*Pass `fit` the result"):
        _compiled().fit(
            serve(data),
            epochs=3,
            verbose=0,
            shuffle=False,
            callbacks=[proxy],
            steps_per_epoch=steps_per_epoch,
        )


def test_reading_ahead_into_the_next_epoch_is_refused(data):
    proxy = ProxyAttention(data.train, "1", verbose=0)
    proxy.set_params({"epochs": 1, "steps": 4})
    proxy.set_model(_compiled())
    proxy.on_train_begin()
    proxy.on_epoch_begin(0)
    proxy.on_train_batch_begin(0)
    batches = iter(data.train.batches(16).repeat())
    for _ in range(5):
        next(batches)
    with pytest.raises(ValueError, match="opened 2 times in epoch 1"):
        proxy.on_train_batch_end(0)


def test_steps_per_epoch_of_the_whole_epoch_is_safe(data):
    proxy = ProxyAttention(
        data.train, "p,2", threshold=0.0, weight=1.0, select="all", subset=0.5, verbose=0
    )
    seen = SeenImages(data)
    batches = data.train.batches(16)
    _keeping().fit(
        batches,
        epochs=3,
        verbose=0,
        shuffle=False,
        callbacks=[proxy, seen],
        steps_per_epoch=int(batches.cardinality()),
    )
    n = len(data.train) // 2
    assert [len(changed) for changed in seen.changed] == [0, n, n]


def test_schedule_that_does_not_fit_stops_before_training(data):
    model = _compiled()
    before = model.get_weights()
    with pytest.raises(ValueError, match="has 4 epochs .* training has 3"):
        _fit(ProxyAttention(data.train, "2,p,1", verbose=0), data, 3, model=model)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 2.0}, r"`threshold` must be in \[0, 1\]"),
        ({"subset": 0.0}, r"`subset` must be in \(0, 1\]"),
        ({"select": "best"}, "`select` must be one of"),
        ({"replacement": "red"}, "`replacement` must be one of"),
        ({"region": "warm"}, "`region` must be"),
        ({"control": "none"}, "`control` must be"),
        ({"batch_size": 0}, "`batch_size` must be"),
        ({"schedule": "5,x"}, "schedule"),
        ({"method": "gradcam"}, "`method` must be one of .*Received: 'gradcam'"),
        ({"method_options": {"channels": 3}}, "has no option channels"),
        ({"explain": "wrong"}, "`explain` must be one of predicted, true, contrast"),
        ({"engine": "fast"}, "`engine` must be one of compiled, tf-keras-vis"),
    ],
)
def test_bad_settings_are_refused_at_once(data, options, message):
    with pytest.raises(ValueError, match=message):
        ProxyAttention(data.train, **options)


@keras.saving.register_keras_serializable("tests")
def _second_logit(logits):
    return logits[:, 1]


def test_any_score_can_be_explained(data):
    inner = _model()
    inner.get_layer(index=3).trainable = False  # BatchNorm statistics would keep changing
    model = _compiled(inner)
    model.optimizer.learning_rate = 0.0
    settings = {"select": "all", "subset": 1.0, "method": "grad_cam", "verbose": 0}
    proxy = ProxyAttention(data.train, "p,1", explain=_second_logit, **settings)
    _fit(proxy, data, 2, model=model)
    made = data.train.store.get_state()
    _, images, _ = next(data.train.originals(len(data.train)).as_numpy_iterator())
    expected = explain(model, images, "grad_cam", class_ids=1)[made["positions"]]
    np.testing.assert_allclose(dequantise(made["heatmaps"]), expected, atol=1.01 / 255)
    assert proxy.get_config()["explain"]["config"] == "tests>_second_logit"
    again = ProxyAttention.from_config(proxy.get_config(), data=data.train)
    assert again.get_config() == proxy.get_config()


def test_a_method_that_does_not_suit_the_model_is_refused_before_training(data):
    proxy = ProxyAttention(data.train, "2,p,1", "cam", verbose=0)
    with pytest.raises(ValueError, match="^CAM needs a head of global average pooling"):
        proxy.prepare(_model(), 4)


@pytest.mark.parametrize("method", ["saliency", "occlusion", "spectral_residual"])
def test_methods_of_every_kind_make_proxies(data, method):
    proxy = ProxyAttention(data.train, "p,1", method, subset=1.0, threshold=0.5, verbose=0)
    _fit(proxy, data, 2)
    step = proxy.steps[0]
    assert step.made > 0 and 0.0 < step.replaced < 1.0


def test_each_callback_attenuates_by_its_own_settings(data):
    first = ProxyAttention(data.train, "p,1", weight=1.0, replacement="black", verbose=0)
    ProxyAttention(data.train, "p,1", verbose=0)
    _fit(first, data, 2)
    assert data.train.attenuation == Attenuation(1.0, "black")


def test_plateau_restarts_with_each_fit(data):
    proxy = ProxyAttention(data.train, "plateau:1,min_delta:1.0,monitor:loss", verbose=0)
    model = _compiled()
    model.optimizer.learning_rate = 0.0
    for _ in range(2):
        _fit(proxy, data, 2, model=model)
        assert [step.epoch for step in proxy.steps] == [1]


def test_resuming_without_the_earlier_proxies_warns(data):
    proxy = ProxyAttention(data.train, "p,2", verbose=0)
    with pytest.warns(UserWarning, match="resumes at epoch 2 without the proxies"):
        _fit(proxy, data, 3, initial_epoch=1)
    other = ProxyAttention(data.train, "p,2", verbose=0)
    _fit(other, data, 3)
    state = other.get_state()
    again = ProxyAttention(data.train, "p,2", verbose=0)
    again.set_state(*state)
    assert _fit(again, data, 3, initial_epoch=1).history["proxies"] == [other.steps[0].made] * 2


def test_validation_split_is_refused(data):
    with pytest.raises(ValueError, match="Pass `data.train`"):
        ProxyAttention(data.val)


def test_tensorboard_sheet_and_csv(data, tmp_path):
    proxy = ProxyAttention(
        data.train,
        "p,2",
        log_dir=tmp_path / "logs",
        sheet_dir=tmp_path / "sheets",
        verbose=0,
    )
    _fit(proxy, data, 3, callbacks=[keras.callbacks.CSVLogger(str(tmp_path / "log.csv"))])
    assert (tmp_path / "sheets" / "proxies_0001.png").read_bytes().startswith(b"\x89PNG")
    events = [
        (value.tag, event.step)
        for file in (tmp_path / "logs").iterdir()
        for record in tf.data.TFRecordDataset(str(file))
        for event in [tf.compat.v1.Event.FromString(record.numpy())]
        for value in event.summary.value
    ]
    names = ("wrong", "chosen", "blank", "left", "made", "replaced", "seconds")
    tags = {f"proxy/{name}" for name in names}
    assert set(events) == {(tag, 0) for tag in tags | {"proxy/sheet"}}
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert [int(float(row["proxy_chosen"])) > 0 for row in rows] == [True, False, False]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(data, policy):
    proxy = ProxyAttention(data.train, "p,1", verbose=0)
    _fit(proxy, data, 2, model=_compiled(_model(dtype=policy)))
    assert proxy.steps[0].made > 0


@pytest.mark.slow
def test_two_mirrored_devices_equal_one(data, mirrored):
    results = []
    for strategy in (tf.distribute.get_strategy(), mirrored):
        with strategy.scope():
            # BatchNorm statistics are per replica, so this model has no BatchNorm.
            keras.utils.set_random_seed(0)
            image = keras.Input((SIZE, SIZE, 3))
            x = keras.layers.Rescaling(1 / 255)(image)
            x = keras.layers.Conv2D(4, 3, activation="relu")(x)
            x = keras.layers.GlobalAveragePooling2D()(x)
            model = _compiled(keras.Model(image, keras.layers.Dense(CLASSES)(x)))
        proxy = ProxyAttention(data.train, "1,p,2", subset=1.0, threshold=0.3, verbose=0)
        # Keras cannot share out a first batch of an odd size.
        _fit(proxy, data, 4, model=model, batch_size=16)
        results.append((model.get_weights(), data.train.store.get_state(), proxy.steps[0]))
    (weights, store, step), (weights_2, store_2, step_2) = results
    assert step.made == step_2.made > 0 and step.wrong == step_2.wrong
    np.testing.assert_array_equal(store["positions"], store_2["positions"])
    # Sums over replicas are rounded in another order: up to 1/255 in a map, 1e-5 in a weight.
    difference = store["heatmaps"].astype(int) - store_2["heatmaps"].astype(int)
    assert np.abs(difference).max() <= 1
    for one, two in zip(weights, weights_2, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)
