"""DataConfig: where the images come from, and how they are split."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from pydantic import Field

from proxy_keras.settings.checking import settings
from proxy_keras.settings.declaration import Setting
from proxy_keras.settings.json_settings import JsonSettings
from proxy_keras.settings.rules import (
    Count,
    Integer,
    NonNegativeInteger,
    ProperShare,
    Share,
    require,
)

INDEX_WORDS = ("cache", "none")
"""What `index` can be, besides a file."""


@settings
class DataConfig(JsonSettings):
    """Where the images come from, and how they are split.

    Raises:
        ValueError: A value breaks its rule.
    """

    source: Annotated[
        str,
        Setting(
            "Images to train on: `digits`, `decoy_digits`, `clutter_digits`, a folder "
            "`ROOT/CLASS/*` or `ROOT/{train,val,test}/CLASS/*`, `npz:FILE`, or `tfds:NAME`.",
            metavar="SRC",
            option="--data",
        ),
    ]
    image_size: Annotated[
        Annotated[Integer, Field(ge=8)] | None,
        Setting(
            "Side of the images.",
            metavar="P",
            unset="32 for the bundled digits, the arrays' own size for `npz:`, else 224",
            unit="pixels",
        ),
    ] = None
    seed: Annotated[
        NonNegativeInteger,
        Setting(
            "Seed of the split. `--seed` keys everything else, so that runs can share a split.",
            metavar="I",
            option="--split-seed",
        ),
    ] = 0
    val: Annotated[
        ProperShare,
        Setting("Share of the training images used for validation.", metavar="SHARE"),
    ] = 0.15
    test: Annotated[
        ProperShare,
        Setting(
            "Share of the images used for testing, where the source has no test split.",
            metavar="SHARE",
        ),
    ] = 0.15
    folds: Annotated[
        Annotated[Integer, Field(ge=2)] | None,
        Setting("Validate by k-fold cross-validation; needs `--fold`.", metavar="K"),
    ] = None
    fold: Annotated[
        NonNegativeInteger | None,
        Setting("The fold used for validation, counted from 0.", metavar="I"),
    ] = None
    shortcut: Annotated[
        Share | None,
        Setting(
            "Plant a grey corner patch that gives away the class in this share of the training "
            "images (for studies).",
            metavar="RATE",
        ),
    ] = None
    val_shortcut: Annotated[
        bool,
        Setting(
            "The planted patch gives away the class in validation images too. Off: it is "
            "uninformative there, as in the test split."
        ),
    ] = True
    limit: Annotated[
        Count | None,
        Setting(
            "Number of training images to use, drawn from each class in proportion.",
            metavar="N",
            unset="all",
            unit="images",
        ),
    ] = None
    groups: Annotated[
        str | None,
        Setting(
            "Table of the groups of the images, with the columns `file` and `group`; for folders. "
            "Training ignores them; results are reported per group.",
            metavar="FILE",
            unset="`groups.csv` in the folder of the images, if it exists",
        ),
    ] = None
    val_like_train: Annotated[
        bool,
        Setting(
            "Validate on the most images that have, together, the group shares of the training "
            "images."
        ),
    ] = False
    strict: Annotated[
        bool, Setting("Stop at an unreadable image instead of skipping and reporting it.")
    ] = False
    allow_missing_classes: Annotated[
        bool,
        Setting("Train without a class that has no usable image, instead of stopping."),
    ] = False
    data_dir: Annotated[
        str | None,
        Setting(
            "Folder of prepared `tfds:` data sets.",
            metavar="DIR",
            unset="TensorFlow Datasets' default",
        ),
    ] = None
    index: Annotated[
        str,
        Setting(
            "Where what is known of the files of a folder is kept, so that they are not decoded at "
            "each start: a file; `cache`: one in your cache folder; `none`: nowhere. It may change "
            "when a run is resumed.",
            metavar="FILE|none",
        ),
    ] = dataclasses.field(default=INDEX_WORDS[0], compare=False)

    def __post_init__(self) -> None:
        folds, fold = self.folds, self.fold
        if folds is not None or fold is not None:
            require(
                folds is not None and fold is not None and fold < folds,
                "`folds` must be >= 2, and `fold` one of 0 to folds - 1.",
                (folds, fold),
            )
