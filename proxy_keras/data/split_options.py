"""SplitOptions: how records are split, by a new draw or by a saved split."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from proxy_keras.data.records import Record, Skipped
from proxy_keras.data.split_draw import SplitDraw, draw_split, match_saved_split
from proxy_keras.data.split_table import SplitTable

_SHOWN = 3


@dataclass(frozen=True)
class SplitOptions:
    """Options of the split, shared by the constructors of `ImageData`.

    Attributes:
        seed: See `split_draw.draw_split`, like the next four.
        val: Share for val.
        test: Share for test.
        folds: Number of folds.
        fold: The fold that is val.
        strict: Raise an error if any image would be skipped.
        split_dir: Folder of a saved split to use instead of drawing a new one.
    """

    seed: int
    val: float
    test: float
    folds: int | None
    fold: int | None
    strict: bool
    split_dir: str | os.PathLike[str] | None

    def apply(
        self,
        records: Sequence[Record],
        skipped: Sequence[Skipped],
        classes: Sequence[str] | None,
    ) -> tuple[SplitDraw, list[Skipped]]:
        """Split the records; return the split and every skipped image, sorted by path.

        Args:
            records: The images.
            skipped: Images that cannot be used.
            classes: Class names by class id; None: the labels, sorted.

        Raises:
            ValueError: `strict` is set and something was skipped; the saved split does not match;
                or see `split_draw.draw_split`.
        """
        if self.split_dir is not None:
            draw = match_saved_split(SplitTable.load(self.split_dir), records)
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
        left_out = sorted([*skipped, *draw.leaking], key=lambda item: item.path)
        if self.strict and left_out:
            names = ", ".join(f"{item.path} ({item.reason})" for item in left_out[:_SHOWN])
            more = ", ..." if len(left_out) > _SHOWN else ""
            raise ValueError(
                f"{len(left_out)} images cannot be used: {names}{more}. Fix or remove them, or "
                "leave out `strict` to skip them."
            )
        return draw, left_out
