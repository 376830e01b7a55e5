"""Every split has the groups of its own images, and validation can be made like training."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from proxy_keras.data import ImageData
from proxy_keras.data.group_description import describe_groups
from proxy_keras.data.groups import Groups
from proxy_keras.data.validation_like_training import positions_like_training, shares_differ

DRAW = np.random.default_rng(0)
IMAGES = DRAW.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
LABELS = np.arange(40) % 2
# The group is a function of the image, so that it can be checked in every split.
NAMES = [None if image[0, 0, 0] < 32 else f"g{image[0, 0, 0] // 86}" for image in IMAGES]


def check(data: ImageData) -> None:
    """Check the groups of all splits against the images."""
    assert data.groups.names == ("g0", "g1", "g2")
    for part in (data.train, data.val, data.test, data.all_images()):
        positions, images, _ = next(part.originals(64).as_numpy_iterator())
        found = [part.groups.ids[at] for at in positions]
        shades = images[:, 0, 0, 0]
        assert found == [-1 if shade < 32 else shade // 86 for shade in shades]
        assert part.groups.names == data.groups.names


def counted(*counts: int, unknown: int = 0) -> Groups:
    ids = np.repeat(np.arange(-1, len(counts)), [unknown, *counts]).astype(np.int32)
    return Groups(tuple(f"g{number}" for number in range(len(counts))), ids)


def test_ids_counts_and_unknown():
    groups = Groups.of(["b", None, "a", "b"])
    assert groups.names == ("a", "b") and groups.ids.tolist() == [1, -1, 0, 1]
    assert groups.counts.tolist() == [1, 2] and groups.unknown == 1 and groups.is_known
    rest = groups.at(np.array([1, 2]))
    assert rest.names == ("a", "b") and rest.ids.tolist() == [-1, 0]
    assert not Groups.unknown_for(3).is_known and len(Groups.unknown_for(3)) == 3


def test_a_folder_has_its_own_table(tmp_path):
    rows = ["file,group"]
    for number, (image, label) in enumerate(zip(IMAGES, LABELS, strict=True)):
        path = tmp_path / "photos" / f"c{label}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
        if NAMES[number] is not None:
            rows.append(f"c{label}/{number}.png,{NAMES[number]}")
    (tmp_path / "photos" / "c0" / "broken.png").write_bytes(b"none")
    rows += ["c0/broken.png,g0", "c0/gone.png,g1"]
    (tmp_path / "photos" / "groups.csv").write_text("\n".join(rows))
    data = ImageData.from_folder(tmp_path / "photos", image_size=8, progress=False)
    check(data)
    said = data.describe()
    assert "Files in the table of groups that are no images of the data: 1: c0/gone.png." in said
    assert "Ignored" not in said
    other = tmp_path / "other.csv"
    other.write_text("file,group\nc0/0.png,only\n")
    by_option = ImageData.from_source(
        str(tmp_path / "photos"), groups=other, image_size=8, progress=False
    )
    assert by_option.groups.names == ("only",) and by_option.groups.counts.tolist() == [1]


def test_arrays_and_streams_have_groups_by_argument():
    check(ImageData.from_arrays(IMAGES, LABELS, groups=NAMES, progress=False))
    check(
        ImageData.from_arrays(
            IMAGES[:30],
            LABELS[:30],
            groups=NAMES[:30],
            test_images=IMAGES[30:],
            test_labels=LABELS[30:],
            test_groups=NAMES[30:],
            progress=False,
        )
    )
    stream = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))
    data = ImageData.from_dataset(stream, image_size=8, groups=NAMES, progress=False)
    check(data)


def test_an_npz_file_can_hold_groups(tmp_path):
    groups = np.array(["" if name is None else name for name in NAMES])
    np.savez(tmp_path / "a.npz", x_train=IMAGES, y_train=LABELS, groups_train=groups)
    check(ImageData.from_source(f"npz:{tmp_path / 'a.npz'}", progress=False))


@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        (NAMES[:-1], ValueError, r"`groups` must be one group per image, \[40\]. Received: \[39\]"),
        ([*NAMES[:-1], 0.5], TypeError, "`groups` must hold text, integers, or None.*0.5"),
    ],
)
def test_groups_that_are_none_are_refused(groups, error, message):
    with pytest.raises(error, match=message):
        ImageData.from_arrays(IMAGES, LABELS, groups=groups, progress=False)


def test_a_table_needs_files():
    with pytest.raises(ValueError, match="the images of 'digits' are not files in a folder"):
        ImageData.from_source("digits", groups="groups.csv", progress=False)


def test_the_validation_split_of_waterbirds_becomes_like_training():
    train, val = counted(3498, 184, 56, 1057), counted(467, 466, 133, 133)
    assert shares_differ(train, val)
    kept = positions_like_training(train, val, [str(at) for at in range(1199)], seed=0)
    # The group that runs out first, 133 of 22.0%, bounds the number of images.
    assert val.at(kept).counts.tolist() == [440, 23, 7, 133]
    assert not shares_differ(train, val.at(kept))
    assert (np.diff(kept) > 0).all()
    again = positions_like_training(train, val, [str(at) for at in range(1199)], seed=1)
    assert again.tolist() != kept.tolist() and len(again) == len(kept)


def test_groups_of_one_split_alone_are_not_matched():
    kept = positions_like_training(
        counted(10, 0, 30, unknown=20), counted(8, 9, 0, unknown=5), list("abcdefghijklmnopqrstuv"),
        seed=0,
    )  # fmt: skip
    # Group 1 has no training image and group 2 no validation image; 10 : 20 of the others.
    assert counted(8, 9, 0, unknown=5).at(kept).ids.tolist() == [-1] * 5 + [0, 0]


def test_splits_without_a_common_group_are_refused():
    with pytest.raises(ValueError, match="no group in common"):
        positions_like_training(counted(3, 0), counted(0, 3), "abc", seed=0)
    with pytest.raises(ValueError, match="only where their groups are known"):
        positions_like_training(Groups.unknown_for(3), Groups.unknown_for(2), "ab", seed=0)


@given(
    st.lists(st.integers(0, 60), min_size=2, max_size=5).filter(any),
    st.lists(st.integers(1, 60), min_size=5, max_size=5),
)
def test_the_shares_are_those_of_training_up_to_rounding(train_counts, val_counts):
    train, val = counted(*train_counts), counted(*val_counts[: len(train_counts)])
    kept = positions_like_training(train, val, [str(at) for at in range(len(val))], seed=3)
    shares = train.counts / train.counts.sum()
    limits = val.counts[train.counts > 0] / shares[train.counts > 0]
    np.testing.assert_allclose(val.at(kept).counts, shares * limits.min(), atol=0.5001)


def test_equal_shares_are_rarely_called_different():
    draw = np.random.default_rng(0)
    shares = [0.73, 0.04, 0.01, 0.22]
    pairs = [(draw.multinomial(800, shares), draw.multinomial(120, shares)) for _ in range(2000)]
    called = sum(shares_differ(counted(*train), counted(*val)) for train, val in pairs)
    assert called <= 8
    assert not shares_differ(counted(5), counted(9))
    assert not shares_differ(counted(5, 3), Groups.unknown_for(4))


def test_what_is_known_of_groups_is_said():
    splits = {"train": counted(97, 3, unknown=4), "val": counted(50, 50), "test": counted(9, 1)}
    lines = describe_groups(splits, ["z.png"])
    assert lines[:3] == [
        "Groups: 2: g0 (train 97, val 50, test 9), g1 (train 3, val 50, test 1).",
        "Images whose group is unknown: train 4.",
        "Files in the table of groups that are no images of the data: 1: z.png.",
    ]
    assert lines[3] == (
        "Groups of fewer than 30 images, whose accuracy is imprecise: 2: g0 (test 9), g1 (test 1)."
    )
    assert lines[4].startswith(
        "The groups have other shares in val than in train: g0 has 50.0% of val and 97.0% of train."
    )
    assert describe_groups(dict.fromkeys(splits, Groups.unknown_for(3)), []) == []


def test_the_hash_tells_the_group_of_each_image():
    groups = Groups.of(["a", None, "b", "a"])
    assert groups.sha256 == Groups.of(["a", None, "b", "a"]).sha256
    others = (["a", None, "b", "b"], ["a", "a", "b", None], ["a", None, "c", "a"], ["a", None, "b"])
    assert len({groups.sha256, *(Groups.of(names).sha256 for names in others)}) == 5


def test_validation_is_matched_without_another_split():
    names = ["b" if number % 4 == 0 else "a" for number in range(40)]
    test = {"test_images": IMAGES[:4], "test_labels": LABELS[:4], "test_groups": names[:4]}
    data = ImageData.from_arrays(IMAGES, LABELS, groups=names, val=0.4, progress=False, **test)
    sha256, before = data.split_sha256, set(data.val.example_ids)
    data.match_validation()
    train, val = data.train.groups.counts, data.val.groups.counts
    np.testing.assert_allclose(val / val.sum(), train / train.sum(), atol=0.5 / val.sum() + 1e-9)
    assert data.split_sha256 == sha256 and set(data.val.example_ids) <= before
