"""Mend a classifier of photographs that looks at the wrong thing.

A new head on a frozen EfficientNet-Lite0 is trained plainly. Its cues are found, and those that are
not the object are ticked, by the boxes of some images or by you. Then a head is trained without
them, and another one with the same masks in random places, to see whether their place matters.

python examples/mend_shortcut.py --data waterbirds --out runs/mend_shortcut
"""

from __future__ import annotations

import argparse
import csv
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from transfer_learning import BATCH_SIZE, transfer_model

# Import the packages of this repository without installing them. Omit this if they are installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import proxy_keras
from proxy_keras.io.extras import MissingExtra
from proxy_keras.objects.object_masks import find_object_masks

ACTIONS: dict[str, dict[str, Any]] = {
    # Ticked cells take those of another image, and images of classes that lack the cue get it.
    "spread": {"cue_action": "spread"},
    # Ticked cells take the mean colour of the training images.
    "hide": {"cue_action": "hide"},
    # Ticked cells take those of an image of another class: for cues that are in every image.
    "exchange": {"cue_action": "hide", "replacement": "exchange"},
}


def tick_by_boxes(
    model: keras.Model, data: proxy_keras.ImageData, given: argparse.Namespace
) -> proxy_keras.Cues | None:
    """Return the network's cues, ticked by the objects of some training images; None: unknown."""
    count = max(1, round(given.object_share * len(data.train)))
    drawn = np.random.default_rng(given.seed).choice(len(data.train), count, replace=False)
    objects = find_object_masks(data, data.train, given.data, positions=np.sort(drawn))
    if not objects:
        return None
    print(f"The object is known in {len(objects)} of {len(data.train)} training images.")
    cues = proxy_keras.find_cues(model, data, objects=objects, seed=given.seed)
    cues.tick_outside(given.tick_outside)
    return cues


def rows_by_group(data: proxy_keras.ImageData, root: Path) -> dict[str, list[int]]:
    """Return the positions of test images by their group in `groups.csv`; {} without that file."""
    file = root / "groups.csv"
    if not file.is_file():
        return {}
    with file.open(newline="", encoding="utf-8") as lines:
        group_of = {row["file"]: row["group"] for row in csv.DictReader(lines)}
    path_of = dict(zip(data.table.example_ids, data.table.paths, strict=True))
    groups: dict[str, list[int]] = {}
    for position, example_id in enumerate(data.test.example_ids):
        if path_of[example_id] in group_of:
            groups.setdefault(group_of[path_of[example_id]], []).append(position)
    return dict(sorted(groups.items()))


def measure(
    model: keras.Model, data: proxy_keras.ImageData, groups: dict[str, list[int]]
) -> dict[str, float]:
    """Return accuracies on the test split: overall, per class, per group, and the lowest."""
    logits = model.predict(data.test.batches(BATCH_SIZE), verbose=0)
    right = logits.argmax(axis=1) == data.test.labels
    table = {"all images": right.mean()}
    classes = {
        name: right[data.test.labels == label].mean() for label, name in enumerate(data.classes)
    }
    by_group = {name: right[positions].mean() for name, positions in groups.items()}
    lowest = {"worst group": min(by_group.values())} if by_group else {}
    return table | classes | by_group | (lowest or {"worst class": min(classes.values())})


def print_table(columns: dict[str, dict[str, float]]) -> None:
    """Print the accuracies of several networks side by side, and what follows from them."""
    first, *_ = columns.values()
    print("\n" + " " * 28 + "".join(f"{title:>16}" for title in columns))
    for row in first:
        print(f"{row:<28}" + "".join(f"{column[row]:>16.1%}" for column in columns.values()))
    worst = list(first)[-1]
    plain, mended, control = (100 * column[worst] for column in columns.values())
    print(
        f"\nThe {worst} is {mended - plain:+.1f} points from plain training, and "
        f"{mended - control:+.1f} from the same masks in random places."
    )
    if mended <= plain:
        print("Training without the ticked cues did not help here.")
    elif mended <= control:
        print("It helped, but not because of where the masks are: random ones did as well.")
    print("One run of each is an example, not a comparison: see `python -m tuner.study`.")


def run(given: argparse.Namespace) -> None:
    """Train, tick, mend, and print the table.

    Raises:
        MissingExtra, OSError, ValueError: Weights, images or cues are missing or unusable.
    """
    data = proxy_keras.ImageData.from_folder(
        given.data, image_size=given.image_size, seed=given.seed
    )
    print(data.describe())

    def train(*callbacks: keras.callbacks.Callback) -> keras.Model:
        # All networks start from the same head and see the images in the same order.
        keras.utils.set_random_seed(given.seed)
        model = transfer_model(data.num_classes, given.image_size, given.last_stages)
        batches = data.train.batches(BATCH_SIZE)
        model.fit(batches, epochs=given.epochs, callbacks=callbacks, shuffle=False, verbose=2)
        return model

    given.out.mkdir(parents=True, exist_ok=True)
    if given.cues is not None:
        # The network in which the cues were found is saved with them.
        cues = proxy_keras.Cues.load(given.cues)
        plain = cues.model
    else:
        plain = train()
        plain.save(given.out / "plain.keras")
        ticked = tick_by_boxes(plain, data, given) if given.object_share > 0 else None
        if ticked is None:
            print("\n".join(["", "Tick what is not the object, then mend:", *by_hand(given)]))
            return
        cues = ticked
        cues.save(given.out / "cues")
    print(cues)
    print(f"Ticked: {', '.join(cues.ticked)}: {cues.ticked_evidence:.0%} of the evidence.")

    def without_cues(control: str | None = None) -> proxy_keras.ProxyAttention:
        # Proxies are shown half of the time. The last fifth of the epochs shows originals only.
        action = ACTIONS[given.action]
        return proxy_keras.ProxyAttention(data.train, cues=cues, control=control, **action)

    proxy, control = without_cues(), without_cues("random_mask")
    groups = rows_by_group(data, given.data)
    columns = {"plain": measure(plain, data, groups)}
    mended = train(proxy)
    mended.save(given.out / "mended.keras")
    columns["mended"] = measure(mended, data, groups)
    columns["random masks"] = measure(train(control), data, groups)
    print_table(columns)


def by_hand(given: argparse.Namespace) -> list[str]:
    """Return the commands that tick cues by hand and go on with them."""
    plain, cues = given.out / "plain.keras", given.out / "plain_cues"
    data = ["--data", given.data, "--image-size", given.image_size]
    tick = ["-m", "proxy_keras.cues", plain, *data, "--split-seed", given.seed, "--page"]
    rest = ["--epochs", given.epochs, "--seed", given.seed, "--action", given.action]
    rest += [] if given.last_stages is None else ["--last-stages", given.last_stages]
    mend = [Path(__file__), *data, *rest, "--cues", cues, "--out", given.out]
    return [shlex.join(map(str, ["python", *words])) for words in (tick, mend)]


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        description="Train a head on EfficientNet-Lite0 plainly, then without its cues that are "
        "not the object, and print both with a control.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--data", required=True, type=Path, metavar="ROOT", help="folder of images")
    text = "share of the training images whose boxes or masks tick cues; 0: tick by hand"
    add("--object-share", type=float, default=0.1, metavar="S", help=text)
    text = "tick cues with less than this share of their evidence on the object"
    add("--tick-outside", type=float, default=0.35, metavar="X", help=text)
    add("--cues", type=Path, metavar="DIR", help="folder of ticked cues to use instead")
    add("--action", choices=ACTIONS, default="spread", help="what to do with ticked cues")
    text = "also train this stage and all after it, such as blocks_11; by default only the head"
    add("--last-stages", metavar="LAYER", help=text)
    add("--epochs", type=int, default=5, metavar="N", help="epochs of each training run")
    add("--image-size", type=int, default=128, metavar="P", help="side in pixels")
    add("--seed", type=int, default=0, metavar="I", help="seed of split, head and order")
    add("--out", type=Path, default=Path("runs/mend_shortcut"), metavar="DIR", help="folder")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example; return 0 if done, 2 if weights, images or cues are missing or unusable."""
    given = build_parser().parse_args(arguments)
    try:
        run(given)
    except (MissingExtra, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
