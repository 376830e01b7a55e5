"""ProxyAttention with cues: what is masked, spread or hidden, in which images, and how often."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from proxy_keras import Cues, ImageData, ProxyAttention, find_cues
from proxy_keras.io import figures
from proxy_keras.objects.object_masks import ObjectMasks
from proxy_keras.proxy.cue_step import chances_of_pasting

SIDE, CELLS, N = 16, 4, 80
BATCH = 14
"""Divides the training split: Keras would trace the step again for a smaller last batch."""

CORNER = np.s_[12:, 12:]


def make_images(seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Grey images with a red or green square (the class); most of class 0 have a blue corner."""
    rng = np.random.default_rng(seed)
    images = np.full([N, SIDE, SIDE, 3], 100, np.uint8)
    images += rng.integers(0, 10, images.shape, np.uint8)
    labels = np.arange(N) % 2
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        row, column = divmod(int(rng.integers(12)), CELLS)
        image[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = 0
        image[4 * row : 4 * row + 4, 4 * column : 4 * column + 4, label] = 250
        if label == 0 and index % 8:
            image[CORNER] = (0, 0, 250)
    return images, labels


def colour_model() -> keras.Model:
    """A classifier whose cells hold the mean colour: red and blue favour class 0, green class 1."""
    image = keras.Input([SIDE, SIDE, 3])
    cells = keras.layers.AveragePooling2D(4)(image)
    cells = keras.layers.Conv2D(3, 1, activation="relu", name="colours")(cells)
    pooled = keras.layers.GlobalAveragePooling2D()(cells)
    model = keras.Model(image, keras.layers.Dense(2, use_bias=False)(pooled))
    model.get_layer("colours").set_weights(
        [np.eye(3, dtype="float32")[None, None], np.full([3], -120, "float32")]
    )
    model.layers[-1].set_weights([np.array([[1, 0], [0, 1], [1, 0]], np.float32)])
    model.compile(
        keras.optimizers.SGD(1e-9), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    return model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of cues with the blue corner ticked."""
    cues = find_cues(colour_model(), *make_images(), clusters=8, verbose=0)
    corner = min(cues.shown, key=lambda name: -cues.facts(name).position)
    cues.tick([corner])
    folder = tmp_path_factory.mktemp("cues") / "cues"
    cues.save(folder)
    return folder


@pytest.fixture
def data() -> ImageData:
    return ImageData.from_arrays(*make_images(), seed=0, progress=False)


class Seen(keras.callbacks.Callback):
    """Keeps the images of each epoch, by position."""

    def __init__(self, data: ImageData) -> None:
        super().__init__()
        self.data = data
        self.epochs: list[NDArray[np.float32]] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self.batches = self.data.train.batches(BATCH)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        train = self.data.train
        feed = train.clock.feeds[-1]
        served = np.zeros([len(train), SIDE, SIDE, 3], np.float32)
        # The same epoch again: order, proxies and donors are keyed.
        train.clock.begin(epoch)
        for number, (images, *_) in enumerate(self.batches):
            served[feed.positions[number]] = images.numpy()
        train.clock.feeds = [feed]
        self.epochs.append(served)


def fit(data: ImageData, proxy: ProxyAttention, *, epochs: int = 5, **options: Any) -> Seen:
    seen = Seen(data)
    colour_model().fit(
        data.train.batches(BATCH),
        epochs=epochs,
        verbose=0,
        shuffle=False,
        callbacks=[seen, proxy],
        **options,
    )
    return seen


def originals(data: ImageData) -> NDArray[np.float32]:
    batches = list(data.train.originals(16).as_numpy_iterator())
    return np.concatenate([images for _, images, _ in batches])


def corners(images: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which images have a blue corner."""
    return np.asarray((images[:, *CORNER] == (0, 0, 250)).all(axis=(1, 2, 3)))


def test_a_spread_cue_is_equally_frequent_in_all_classes(data: ImageData, saved: Path) -> None:
    seen = fit(data, ProxyAttention(data.train, cues=saved, verbose=0), epochs=10)
    labels, before = data.train.labels, corners(originals(data))
    rate = before[labels == 0].mean()
    assert before[labels == 1].mean() == 0 and 0.7 < rate < 1
    frequent = np.mean([corners(epoch) for epoch in seen.epochs[:8]], axis=0)
    assert frequent[labels == 0].mean() == pytest.approx(rate, abs=1e-9)
    assert frequent[labels == 1].mean() == pytest.approx(rate, abs=0.04)
    # The last fifth is originals.
    np.testing.assert_array_equal(seen.epochs[8], originals(data))


def test_a_cue_is_never_more_frequent_than_the_rate_that_is_set(
    data: ImageData, saved: Path
) -> None:
    seen = fit(data, ProxyAttention(data.train, cues=saved, cue_rate=0.3, verbose=0), epochs=10)
    frequent = np.mean([corners(epoch) for epoch in seen.epochs[:8]], axis=0)
    assert frequent[data.train.labels == 1].mean() == pytest.approx(0.3, abs=0.06)


def test_a_hidden_cue_is_replaced_in_half_of_the_showings_and_nothing_else_changes(
    data: ImageData, saved: Path
) -> None:
    proxy = ProxyAttention(
        data.train, cues=Cues.load(saved), cue_action="hide", replacement="white", verbose=0
    )
    seen = fit(data, proxy, epochs=10)
    clean = originals(data)
    had = corners(clean)
    shown = np.stack(seen.epochs[:8])
    assert corners(shown.reshape(-1, SIDE, SIDE, 3)).reshape(8, -1)[:, had].mean() == (
        pytest.approx(0.5, abs=0.05)
    )
    np.testing.assert_array_equal(
        shown[:, ~had], np.broadcast_to(clean[~had], shown[:, ~had].shape)
    )
    outside = np.ones([SIDE, SIDE], bool)
    # Enlarged bilinearly, a cell reaches a quarter of a cell into its neighbours.
    outside[11:, 11:] = False
    np.testing.assert_array_equal(
        shown[:, :, outside], np.broadcast_to(clean[:, outside], shown[:, :, outside].shape)
    )
    hidden = shown[:, had][:, :, 12:, 12:].reshape(-1, 4, 4, 3)
    is_white = (hidden == 255).all(axis=(1, 2, 3))
    assert (is_white | (hidden == (0, 0, 250)).all(axis=(1, 2, 3))).all()


@pytest.mark.parametrize(("evidence", "masked"), [(0.15, [0.0, 0.0]), (0.0, [0.0, 1.0])])
def test_cells_without_evidence_are_masked_only_if_asked_for(
    saved: Path, evidence: float, masked: list[float]
) -> None:
    images, labels = make_images()
    # Seen as green by the network of the cues, so that blue is no evidence.
    images[labels == 1, *CORNER] = (0, 0, 200)
    images[labels == 0, *CORNER] = 100
    data = ImageData.from_arrays(images, labels, seed=0, progress=False)
    settings: dict[str, Any] = {"cue_action": "hide", "replacement": "white", "show": 1.0}
    proxy = ProxyAttention(data.train, cues=saved, cue_evidence=evidence, verbose=0, **settings)
    white = (fit(data, proxy, epochs=2).epochs[0][:, *CORNER] == 255).all(axis=(1, 2, 3))
    assert [white[data.train.labels == label].mean() for label in (0, 1)] == masked


def test_the_step_runs_once_before_the_first_epoch_and_is_logged_with_it(
    data: ImageData, saved: Path
) -> None:
    proxy = ProxyAttention(data.train, cues=saved, verbose=0)
    history = (
        colour_model()
        .fit(data.train.batches(BATCH), epochs=5, verbose=0, shuffle=False, callbacks=[proxy])
        .history
    )
    (step,) = proxy.steps
    # Images of class 0 without the cue are left alone: no class has it more often.
    left = int((~corners(originals(data)) & (data.train.labels == 0)).sum())
    made = len(data.train) - left
    assert (step.epoch, step.made, step.blank) == (-1, made, left)
    # A cell in the corner of the image, enlarged bilinearly: its 16 pixels and 6 of its rim.
    assert step.replaced == pytest.approx(22 / 256)
    assert history["proxy_made"] == [made, 0, 0, 0, 0]
    assert history["proxies"] == [made] * 4 + [0]
    assert str(step).startswith("proxy step before the first epoch: ")


@pytest.mark.parametrize("control", ["random_mask", "erasing", "proxies_off"])
def test_controls_mask_as_much_elsewhere_or_nothing(
    data: ImageData, saved: Path, control: str
) -> None:
    proxy = ProxyAttention(
        data.train, cues=saved, cue_action="hide", control=control, show=1.0, verbose=0
    )
    seen = fit(data, proxy)
    clean = originals(data)
    changed = (seen.epochs[0] != clean).any(axis=3)
    if control == "proxies_off":
        assert not changed.any()
        return
    np.testing.assert_array_equal(changed.any(axis=(1, 2)), corners(clean))
    share = changed[corners(clean)].mean()
    assert share == pytest.approx(25 / 256, rel=0.5)
    assert changed[corners(clean)][:, :8, :8].any()


def test_the_sheet_shows_what_is_masked(
    data: ImageData, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheets: list[tuple[Any, ...]] = []
    draw = figures.proxy_sheet

    def keep(*arguments: Any, mask_name: str) -> Any:
        sheets.append((mask_name, *arguments))
        return draw(*arguments, mask_name=mask_name)

    monkeypatch.setattr(figures, "proxy_sheet", keep)
    options: dict[str, Any] = {"cue_action": "hide", "replacement": "black"}
    fit(data, ProxyAttention(data.train, cues=saved, sheet_dir=tmp_path, **options), epochs=1)
    [(name, images, masks, proxies, *_)] = sheets
    assert name == "ticked cues" and masks[:, *CORNER].all() and not masks[:, :11].any()
    np.testing.assert_array_equal(masks, (proxies != images).any(axis=-1))


def test_resumed_training_serves_the_same_bits(data: ImageData, saved: Path) -> None:
    whole = fit(data, ProxyAttention(data.train, cues=saved, verbose=0))
    again = ImageData.from_arrays(*make_images(), seed=0, progress=False)
    first = ProxyAttention(again.train, cues=saved, verbose=0)
    seen = Seen(again)
    states: list[Any] = []
    stop = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: states.append(first.get_state())
    )
    colour_model().fit(
        again.train.batches(BATCH),
        epochs=5,
        verbose=0,
        shuffle=False,
        callbacks=[seen, first, stop],
    )
    resumed = ImageData.from_arrays(*make_images(), seed=0, progress=False)
    second = ProxyAttention(resumed.train, cues=saved, verbose=0)
    second.set_state(*states[1])
    rest = fit(resumed, second, initial_epoch=2)
    assert len(second.steps) == 1
    np.testing.assert_array_equal(np.stack(rest.epochs), np.stack(whole.epochs[2:]))


def test_cues_outside_the_object_are_found_while_training(data: ImageData) -> None:
    boxes = {}
    for position, image in enumerate(originals(data)[:20]):
        boxes[position] = image[..., :2].max(axis=2) > 200
    proxy = ProxyAttention(
        data.train,
        "1,p,2",
        cues="outside",
        cue_action="hide",
        objects=ObjectMasks(boxes, SIDE),
        show=1.0,
        replacement="black",
        verbose=0,
    )
    seen = fit(data, proxy, epochs=4)
    clean, had = originals(data), corners(originals(data))
    np.testing.assert_array_equal(seen.epochs[1], clean)
    assert (seen.epochs[2][had][:, *CORNER] == 0).all()
    np.testing.assert_array_equal(seen.epochs[2][~had], clean[~had])


def test_batches_without_the_weights_that_were_asked_for_are_refused(
    data: ImageData, saved: Path
) -> None:
    batches = data.train.batches(BATCH)
    proxy = ProxyAttention(data.train, cues=saved, original_weight=0.5, verbose=0)
    options: dict[str, Any] = {"epochs": 5, "verbose": 0, "callbacks": [proxy], "shuffle": False}
    with pytest.raises(ValueError, match="Call `data.train.batches.* after making ProxyAttention"):
        colour_model().fit(batches, **options)
    history = colour_model().fit(data.train.batches(BATCH), **options).history
    assert len(history["loss"]) == 5


def test_chances_make_all_classes_equal() -> None:
    has_cue = np.array([1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], bool)
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2], np.int32)
    # Shares 1/2, 1/4 and 0; pasted on 1/3 of the rest of class 1, that has 1/2 too.
    expected = [0, 0, 0, 0, 0, 1 / 3, 1 / 3, 1 / 3, 0.5, 0.5, 0.5]
    assert chances_of_pasting(has_cue, labels, None) == pytest.approx(expected)
    # Above what class 0 has, it is raised as well; below, it stays.
    assert chances_of_pasting(has_cue, labels, 0.75)[[2, 5, 8]] == pytest.approx([0.5, 2 / 3, 0.75])
    assert chances_of_pasting(has_cue, labels, 0.25)[[2, 5, 8]] == pytest.approx([0, 0, 0.25])
    assert chances_of_pasting(np.ones(11, bool), labels, None).tolist() == [0.0] * 11


def test_what_cannot_be_used_is_refused_before_training(
    data: ImageData, saved: Path, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError, match="not a folder of cues"):
        ProxyAttention(data.train, cues=tmp_path)
    cues = Cues.load(saved)
    cues.undo()
    with pytest.raises(ValueError, match="No cue is ticked"):
        ProxyAttention(data.train, cues=cues)
    with pytest.raises(ValueError, match="needs images whose object is known"):
        ProxyAttention(data.train, cues="outside")
    with pytest.raises(ValueError, match="`threshold` is for heatmaps, not for `cues`"):
        ProxyAttention(data.train, cues=saved, threshold=0.5)
    with pytest.raises(ValueError, match="`cue_rate` needs `cues`"):
        ProxyAttention(data.train, cue_rate=0.5)
    larger = ImageData.from_arrays(*make_images(), image_size=32, progress=False)
    with pytest.raises(ValueError, match=r"found in images of \(16, 16, 3\)"):
        ProxyAttention(larger.train, cues=saved)


def test_the_settings_with_cues_read_back(data: ImageData, saved: Path) -> None:
    proxy = ProxyAttention(data.train, cues=saved, cue_rate=0.4, original_weight=0.5, verbose=0)
    config = proxy.get_config()
    assert (config["cues"], config["schedule"]) == (str(saved), "start,finish:0.2")
    again = ProxyAttention.from_config(config, data=data.train)
    assert again.config == proxy.config
    unsaved = find_cues(colour_model(), *make_images(), clusters=8, verbose=0)
    unsaved.tick(["1"])
    with pytest.raises(ValueError, match="Save the cues first"):
        ProxyAttention(data.train, cues=unsaved).get_config()
