"""Drawing: the split of some records, drawn anew or taken from where it was saved."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from proxy_keras.data.records import Record, Skipped
from proxy_keras.data.split_draw import SplitDraw, draw_split, relink_split
from proxy_keras.data.split_table import SplitTable

_SHOWN = 3


@dataclass(frozen=True)
class Drawing:
    """How a split comes about; the arguments that the methods of `ImageData` share.

    Attributes:
        seed: See `splits.draw_split`, like the next four.
        val: Share for val.
        test: Share for test.
        folds: Number of folds.
        fold: The fold that is val.
        strict: Any image that would be skipped is an error.
        split_dir: Folder of a saved split, which is used in place of a new draw.
    """

    seed: int
    val: float
    test: float
    folds: int | None
    fold: int | None
    strict: bool
    split_dir: str | os.PathLike[str] | None

    def split(
        self,
        records: Sequence[Record],
        skipped: Sequence[Skipped] = (),
        classes: Sequence[str] | None = None,
    ) -> tuple[SplitDraw, list[Skipped]]:
        """The split, and all that was skipped: what is given and what the draw set aside.

        Args:
            records: The images.
            skipped: What was no usable image.
            classes: Class names by class id; None: the labels, sorted.

        Raises:
            ValueError: Something was skipped and `strict` is set; the saved split does not match;
                or see `splits.draw_split`.
        """
        if self.split_dir is not None:
            draw = relink_split(SplitTable.load(self.split_dir), records)
        else:
            draw = draw_split(
                records,
                seed=self.seed,
                val=self.val,
                test=self.test,
                folds=self.folds,
                fold=self.fold,
                classes=classes,
            )
        left_out = sorted([*skipped, *draw.set_aside], key=lambda item: item.path)
        if self.strict and left_out:
            names = ", ".join(f"{item.path} ({item.reason})" for item in left_out[:_SHOWN])
            more = ", ..." if len(left_out) > _SHOWN else ""
            raise ValueError(
                f"{len(left_out)} images cannot be used: {names}{more}. Mend or remove them, or "
                "leave out `strict` to go on without them."
            )
        return draw, left_out
