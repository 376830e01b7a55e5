"""ImageData: images of any source, split into train, val and test."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TypedDict, Unpack

import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.data.arrays import Labels
from proxy_keras.data.group_names import GroupNames
from proxy_keras.data.image_source import array_source, dataset_source, folder_source
from proxy_keras.data.layout import LabelFn
from proxy_keras.data.readers import Images
from proxy_keras.data.scan_index import CACHE, Index
from proxy_keras.data.sources import open_source
from proxy_keras.data.split_images import SplitImages


class SplitOptions(TypedDict, total=False):
    """Optional arguments of every constructor of `ImageData`, which describes them."""

    folds: int | None
    fold: int | None
    strict: bool
    split_dir: str | os.PathLike[str] | None
    shortcut: float | None
    val_shortcut: bool
    allow_missing_classes: bool


class ImageData(SplitImages):
    """Images split into train, val and test. Create it with one of its `from_` methods.

    These methods share the following arguments; those from `folds` on are `options`:

        image_size: Side P in pixels, or the pair (P, P); images are stretched to P x P.
        seed: Keys the split, the shortcut, and the order of the training batches.
        val, test: Shares of each class's distinct images, in (0, 1). Ignored for a split that the
            data already have.
        progress: Show progress bars.
        folds, fold: Cross-validation: `val` is fold number `fold` of `folds`.
        strict: Raise an error if any image would be skipped.
        split_dir: Folder of a saved split to use instead of drawing a new one. It must still match
            the data; files may have been renamed.
        shortcut: Share of images with a planted patch that reveals their class, see `Shortcut`;
            None: no patch.
        val_shortcut: Whether the patch reveals the class in val, as in train; False: it is random
            there, as in test.
        allow_missing_classes: Leave out a class without a usable image instead of raising an error.

    The data themselves are never modified.

    Attributes:
        table: The split.
        classes: Class names by class id.
        image_size: Side of the images in pixels.
        seed: The seed.
        given_splits: The splits that came with the data; the others were drawn.
        skipped: What was left out: unreadable images, and copies across given splits.
        boxes: Bounding box of the object by example id; None: unknown.
        planted: Boxes of planted shortcuts by example id: the decoy of `decoy_digits`, and the
            patch of `shortcut`; None: none is planted.
        groups: The group of each image, in the order of the table. Each of the splits has those of
            its own images. Training uses them only where a method says so.
        train: The training split, whose batches are shuffled and serve proxies.
        val: The validation split.
        test: The test split.
    """

    @classmethod
    def from_folder(
        cls,
        root: str | os.PathLike[str],
        *,
        image_size: int = 224,
        seed: int = 0,
        val: float = 0.15,
        test: float = 0.15,
        label_fn: LabelFn | None = None,
        groups: str | os.PathLike[str] | None = None,
        progress: bool = True,
        index: Index = CACHE,
        **options: Unpack[SplitOptions],
    ) -> ImageData:
        """Load image files from `ROOT/CLASS/` or `ROOT/{train,val,test}/CLASS/`.

        Every file is decoded once to check it, and read again whenever it is needed. What was found
        out about it is kept in an index, so that it is not decoded to check it the next time.

        Args:
            root: The folder.
            label_fn: Returns the class of a file from its path relative to `root`; None: the class
                is the name of the folder.
            groups: The table of groups, see `GroupTable`; None: `groups.csv` in the folder, if it
                exists.
            index: The file of the index; "cache": one in the user's cache folder; None or "none":
                no index is used or kept.

        Raises:
            FileNotFoundError, NotADirectoryError: There is no such folder.
            ValueError: See `layout.find_images` and `split_draw.draw_split`; or `strict` is set
                and an image cannot be used; or the saved split does not match.
        """
        source = folder_source(
            root,
            image_size=image_size,
            label_fn=label_fn,
            groups=groups,
            progress=progress,
            index=index,
        )
        return cls(source, seed=seed, val=val, test=test, **options)

    @classmethod
    def from_arrays(
        cls,
        images: Images,
        labels: Labels,
        *,
        test_images: Images | None = None,
        test_labels: Labels | None = None,
        classes: Sequence[str] | None = None,
        image_size: int | None = None,
        seed: int = 0,
        val: float = 0.15,
        test: float = 0.15,
        boxes: NDArray[Any] | None = None,
        test_boxes: NDArray[Any] | None = None,
        groups: GroupNames | None = None,
        test_groups: GroupNames | None = None,
        progress: bool = True,
        **options: Unpack[SplitOptions],
    ) -> ImageData:
        """Use images in arrays, in memory or as a `numpy.memmap`, which are not copied.

        Args:
            images: [N, h, w, 3], [N, h, w, 1] or [N, h, w] uint8; or a list or a tensor, which
                becomes an array.
            labels: [N] integers or strings, as an array, a list or a tensor.
            test_images: The images of a given test split; None: the test split is drawn.
            test_labels: Labels of `test_images`.
            classes: Class names by class id. None: the labels, sorted.
            image_size: None: the size of the images, which must then be square.
            boxes: [N, 4] x0, y0, x1, y1 of the object in each image, in pixels of the array.
            test_boxes: The boxes of `test_images`.
            groups: [N] the group of each image, text or integers; None or "": unknown.
            test_groups: The groups of `test_images`.

        Raises:
            TypeError: Images, labels, class names or the size are of no usable type.
            ValueError: Images, labels or boxes have the wrong type or shape or do not match each
                other; or see `split_draw.draw_split`.
        """
        source = array_source(
            images,
            labels,
            test_images=test_images,
            test_labels=test_labels,
            classes=classes,
            image_size=image_size,
            boxes=boxes,
            test_boxes=test_boxes,
            groups=groups,
            test_groups=test_groups,
            progress=progress,
        )
        return cls(source, seed=seed, val=val, test=test, **options)

    @classmethod
    def from_dataset(
        cls,
        train: tf.data.Dataset,
        *,
        image_size: int,
        val: tf.data.Dataset | None = None,
        test: tf.data.Dataset | None = None,
        classes: Sequence[str] | None = None,
        seed: int = 0,
        val_share: float = 0.15,
        test_share: float = 0.15,
        groups: GroupNames | None = None,
        val_groups: GroupNames | None = None,
        test_groups: GroupNames | None = None,
        progress: bool = True,
        **options: Unpack[SplitOptions],
    ) -> ImageData:
        """Use a finite, unbatched `tf.data.Dataset` of (image, label) with a fixed order.

        It is read twice here, see `StreamReader`, and from its beginning in every pass over a
        subset, even a subset of a few images.

        Args:
            train: Images uint8 or float in [0, 255], or bytes of image files; labels integers or
                strings.
            val: A given validation split; None: it is drawn from `train`.
            test: A given test split; None: it is drawn from `train`.
            classes: Class names by class id. None: the labels, sorted.
            val_share: The share that other methods call `val`.
            test_share: The share that other methods call `test`.
            groups: The group of each element of `train`, in its order, text or integers; None or
                "": unknown.
            val_groups: The groups of `val`.
            test_groups: The groups of `test`.

        Raises:
            ValueError: The dataset cannot be used, see `StreamReader` and `split_draw.draw_split`.
        """
        source = dataset_source(
            train,
            image_size=image_size,
            val=val,
            test=test,
            classes=classes,
            groups=groups,
            val_groups=val_groups,
            test_groups=test_groups,
            progress=progress,
        )
        return cls(source, seed=seed, val=val_share, test=test_share, **options)

    @classmethod
    def from_source(
        cls,
        src: str,
        *,
        image_size: int | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        limit: int | None = None,
        groups: str | os.PathLike[str] | None = None,
        val_like_train: bool = False,
        seed: int = 0,
        val: float = 0.15,
        test: float = 0.15,
        progress: bool = True,
        index: Index = CACHE,
        **options: Unpack[SplitOptions],
    ) -> ImageData:
        """Load a data source by name, such as "digits" or "npz:FILE".

        Args:
            src: See `sources.open_source`, like `data_dir`.
            image_size: None: the natural size of the source.
            data_dir: Folder of prepared `tfds:` data.
            limit: See `limit_training`; None: all images.
            groups: See `from_folder`.
            val_like_train: Whether to call `match_validation`.
            index: See `from_folder`; ignored for sources that are no folders.

        Raises:
            ValueError: The source is unknown, or its data cannot be used.
            FileNotFoundError: The file or folder does not exist.
            ConnectionError: A `tfds:` dataset is not on disk and cannot be downloaded.
        """
        source = open_source(
            src,
            image_size=image_size,
            data_dir=data_dir,
            groups=groups,
            seed=seed,
            progress=progress,
            index=index,
        )
        data = cls(source, seed=seed, val=val, test=test, **options)
        if limit is not None:
            data.limit_training(limit)
        if val_like_train:
            data.match_validation()
        return data
