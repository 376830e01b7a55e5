"""ValidationCounts equals scikit-learn for labels of all kinds and changes nothing else."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import confusion_matrix

from proxy_keras.training.validation_counts import ValidationCounts

CLASSES = ["a", "b", "c"]
DRAW = np.random.default_rng(0)
IMAGES = DRAW.uniform(0, 255, (26, 4, 4, 3)).astype(np.float32)
LABELS = DRAW.integers(0, 3, 26)


def build(one_hot=False):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(3, dtype="float32"),
        ]
    )
    kind = "Categorical" if one_hot else "SparseCategorical"
    loss = getattr(keras.losses, f"{kind}Crossentropy")(from_logits=True)
    model.compile(keras.optimizers.SGD(0.5), loss, metrics=["accuracy"])
    return model


def batches(labels=LABELS, size=8):
    return tf.data.Dataset.from_tensor_slices((IMAGES, labels)).batch(size)


def fit(model, labels=LABELS, callbacks=(), epochs=1, **options):
    data = batches(labels)
    options = {"validation_data": data, **options, "shuffle": False, "verbose": 0}
    return model.fit(data, epochs=epochs, callbacks=list(callbacks), **options)


def counted(model):
    """Return the images and correct predictions per class, [K] each, by scikit-learn."""
    answers = model.predict(IMAGES, verbose=0).argmax(axis=1)
    confusion = confusion_matrix(LABELS, answers, labels=range(3))
    return confusion.sum(axis=1).tolist(), confusion.diagonal().tolist()


def counted_by(counts, kind="class"):
    """Return the images and correct predictions of the first epoch by kind."""
    first = counts.get_state()[kind][0]
    return first["images"], first["right"]


@pytest.mark.parametrize("form", ["ids", "column", "one_hot"])
def test_the_counts_are_scikit_learns(form):
    labels = {"ids": LABELS, "column": LABELS[:, None], "one_hot": np.eye(3)[LABELS]}[form]
    counts, model = ValidationCounts(CLASSES), build(form == "one_hot")
    fit(model, labels, [counts])
    images, right = counted(model)
    assert counts.rows["class"] == [
        {"epoch": 1, "class": name, "images": images[place], "right": right[place]}
        for place, name in enumerate(CLASSES)
    ]
    assert 0 < sum(right) < 26


GROUPS = np.array([0, 1, -1, 1] * 6 + [0, 1], np.int32)


@pytest.mark.parametrize("form", ["ids", "one_hot"])
def test_groups_are_counted_and_the_worst_is_logged(form):
    labels = LABELS if form == "ids" else np.eye(3)[LABELS]
    counts, model = ValidationCounts(CLASSES, ["x", "y", "z"]), build(form == "one_hot")
    val = tf.data.Dataset.from_tensor_slices((IMAGES, labels, GROUPS)).batch(8)
    logs = fit(model, labels, [counts], validation_data=val).history
    right = model.predict(IMAGES, verbose=0).argmax(axis=1) == LABELS
    by_hand = [int(right[GROUPS == group].sum()) for group in range(3)]
    assert counted_by(counts, "group") == ([7, 13, 0], by_hand)
    assert counted_by(counts) == counted(model)
    assert logs["val_worst_group_accuracy"] == [min(by_hand[0] / 7, by_hand[1] / 13)]
    images, right_by_class = counted(model)
    assert logs["val_worst_class_accuracy"] == [
        min(r / n for n, r in zip(images, right_by_class, strict=True))
    ]
    assert counts.rows["group"][1] == {"epoch": 1, "group": "y", "images": 13, "right": by_hand[1]}
    # The groups are no weights in the loss, and training does not see them.
    assert logs["val_loss"] == pytest.approx([model.evaluate(batches(labels), verbose=0)[0]])
    plain = build(form == "one_hot")
    fit(plain, labels)
    for one, other in zip(plain.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_epoch_has_its_own_counts():
    counts, model = ValidationCounts(CLASSES), build()
    history = fit(model, callbacks=[counts], epochs=3).history
    state = counts.get_state()["class"]
    assert [of["epoch"] for of in state] == [1, 2, 3]
    assert {sum(of["images"]) for of in state} == {26}
    accuracies = [sum(of["right"]) / 26 for of in state]
    np.testing.assert_allclose(accuracies, history["val_accuracy"], rtol=1e-6)


def test_training_is_unchanged_and_the_model_is_restored():
    plain, watched = build(), build()
    before = fit(plain, epochs=2).history
    after = fit(watched, callbacks=[ValidationCounts(CLASSES)], epochs=2).history
    worst = after.pop("val_worst_class_accuracy")
    assert before == after and len(worst) == 2
    for one, other in zip(plain.get_weights(), watched.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not {"test_step", "compute_metrics"} & set(vars(watched))
    assert [metric.name for metric in watched.metrics] == [m.name for m in plain.metrics]
    assert watched.evaluate(batches(), verbose=0) == plain.evaluate(batches(), verbose=0)


def test_an_epoch_without_validation_has_no_counts():
    counts, model = ValidationCounts(CLASSES), build()
    fit(model, callbacks=[counts], epochs=4, validation_freq=2)
    assert [of["epoch"] for of in counts.get_state()["class"]] == [2, 4]


def test_it_continues_from_saved_counts():
    whole, model = ValidationCounts(CLASSES), build()
    fit(model, callbacks=[whole], epochs=2)
    first, second, model = ValidationCounts(CLASSES), ValidationCounts(CLASSES), build()
    fit(model, callbacks=[first])
    second.set_state(first.get_state())
    fit(model, callbacks=[second], epochs=2, initial_epoch=1)
    assert second.get_state() == whole.get_state()


def check_counts(counts, model):
    """Check the counts of the first epoch by class."""
    first = counts.get_state()["class"][0]
    assert (first["images"], first["right"]) == counted(model)


def test_half_precision_counts_whole_images():
    keras.config.set_dtype_policy("mixed_float16")
    counts, model = ValidationCounts(CLASSES), build()
    fit(model, callbacks=[counts])
    check_counts(counts, model)


@pytest.mark.slow
def test_all_replicas_count(mirrored):
    with mirrored.scope():
        counts, model = ValidationCounts(CLASSES), build()
    fit(model, callbacks=[counts])
    check_counts(counts, model)
