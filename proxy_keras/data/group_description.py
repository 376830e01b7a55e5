"""Groups of images in a few lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from proxy_keras.data.groups import SMALL_GROUP, Groups
from proxy_keras.data.records import TRAIN, VAL
from proxy_keras.data.split_table import first_few
from proxy_keras.data.validation_like_training import shares_differ


def describe_groups(splits: Mapping[str, Groups], without_image: Sequence[str]) -> list[str]:
    """Return what is known of the groups of each split, by its name; empty if nothing is.

    Args:
        splits: The groups of train, val and test.
        without_image: Files of the table of groups that are no images.
    """
    names = splits[TRAIN].names
    if not names:
        return []
    found = [
        f"{name} ({', '.join(f'{split} {of.counts[group]:,}' for split, of in splits.items())})"
        for group, name in enumerate(names)
    ]
    lines = [f"Groups: {len(names)}: {first_few(found)}."]
    if unknown := {split: of.unknown for split, of in splits.items() if of.unknown}:
        counts = ", ".join(f"{split} {count:,}" for split, count in unknown.items())
        lines.append(f"Images whose group is unknown: {counts}.")
    if without_image:
        lines.append(
            f"Files in the table of groups that are no images of the data: {len(without_image)}: "
            f"{first_few(without_image)}."
        )
    small = [
        f"{name} ({split} {of.counts[group]})"
        for split, of in splits.items()
        for group, name in enumerate(names)
        if split != TRAIN and 0 < of.counts[group] < SMALL_GROUP
    ]
    if small:
        lines.append(
            f"Groups of fewer than {SMALL_GROUP} images, whose accuracy is imprecise: "
            f"{len(small)}: {first_few(small)}."
        )
    if shares_differ(splits[TRAIN], splits[VAL]):
        lines.append(_other_shares(splits[TRAIN], splits[VAL]))
    return lines


def _other_shares(train: Groups, val: Groups) -> str:
    """Return the group whose shares differ most, and what follows from it."""
    shares = [of.counts / of.counts.sum() for of in (train, val)]
    most = int(abs(shares[0] - shares[1]).argmax())
    return (
        f"The groups have other shares in val than in train: {train.names[most]} has "
        f"{shares[1][most]:.1%} of val and {shares[0][most]:.1%} of train. Whatever is selected on "
        "val knows more of the groups than training images tell. --val-like-train keeps only "
        "validation images with the shares of train."
    )
