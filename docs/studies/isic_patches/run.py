"""Mend a classifier of skin lesions that takes a calibration patch for "no melanoma".

For each seed: a new head on a frozen EfficientNet-Lite0 is trained plainly, its cues are found, and
those that are mostly in training images with a patch are ticked. Then each arm trains the head
further. Every finished run adds a row to results.csv; finished ones are skipped.

python docs/studies/isic_patches/run.py --data data --seeds 0 1 2 3 4
python docs/studies/isic_patches/run.py --data data --seeds 0 1 2 --last-stages
python docs/studies/isic_patches/run.py --table
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
# Import the packages and the examples of this repository without installing them.
sys.path[:0] = [str(ROOT), str(ROOT / "examples")]

from table import PREFIX, found_file, print_over_images, print_tables  # noqa: E402
from transfer_learning import transfer_model  # noqa: E402

import proxy_keras  # noqa: E402
from proxy_keras import train  # noqa: E402
from proxy_keras.cues.cues import MASK_EVIDENCE  # noqa: E402
from proxy_keras.cues.facts import PRESENT  # noqa: E402
from proxy_keras.data.images import read_image  # noqa: E402
from proxy_keras.models.cut import cut_before  # noqa: E402

SIZE, PLAIN_EPOCHS, EPOCHS = 160, 20, 10
RECIPE = ["--flip", "0", "--rotation", "0", "--batch-size", "32", "--quiet"]
LAST_STAGES = "blocks_11"
"""With `--last-stages`, this stage and all after it are trained instead of the last layer."""

CUES = ["--cues", "CUES"]
ARMS = {
    # The same further training without proxies.
    "plain": ["--no-proxy"],
    "hide": [*CUES, "--cue-action", "hide"],
    "spread": CUES,
    "random": [*CUES, "--control", "random_mask"],
    "spread 0.25": [*CUES, "--cue-rate", "0.25"],
    "spread 0.5": [*CUES, "--cue-rate", "0.5"],
}
FEWEST, SHARE = 10, 0.5
"""A cue is ticked if it is present in at least `FEWEST` training images, of which at least `SHARE`
have a patch. Its halves are judged only if no shown cue is ticked."""


class TestImages:
    """Features of all test images, and of the melanomas with a pasted patch.

    All layers before `first_trained` are frozen, so that they are the same for all seeds and arms.
    """

    def __init__(
        self, data: proxy_keras.ImageData, root: Path, model: keras.Model, first_trained: str
    ) -> None:
        self._first_trained = first_trained
        body = keras.Model(model.inputs[0], cut_before(model, first_trained).tensor)
        path_of = dict(zip(data.table.example_ids, data.table.paths, strict=True))
        paths = [path_of[example_id] for example_id in data.test.example_ids]
        with_patch = images_with_patch(root / "isic_patches")
        self.is_melanoma = data.test.labels == data.classes.index("melanoma")
        self.has_patch = np.array([path in with_patch for path in paths])
        self.is_free_melanoma = self.is_melanoma & ~self.has_patch
        self.free = [Path(paths[row]).name for row in np.flatnonzero(self.is_free_melanoma)]
        patched = [read_image(root / "isic_patched_test" / "melanoma" / name) for name in self.free]
        self._test = body.predict(data.test.batches(64), verbose=0)
        self._patched = body.predict(np.array(patched, np.float32), verbose=0)

    def measure(self, model: keras.Model) -> tuple[dict[str, float], NDArray[np.bool_]]:
        """Return the scores of a model, and whether it finds each melanoma, free and patched."""
        from sklearn.metrics import roc_auc_score

        head = keras.Model(cut_before(model, self._first_trained).tensor, model.outputs[0])
        logits = (head.predict(features, verbose=0) for features in (self._test, self._patched))
        # The margin of "melanoma" (class 0): above 0, its probability is above 0.5.
        score, patched = (answers[:, 0] - answers[:, 1] for answers in logits)
        ill, patch = self.is_melanoma, self.has_patch
        found = np.stack([score[self.is_free_melanoma] > 0, patched > 0])
        healthy_patched = score[~ill & patch]
        return {
            "recall": found[0].mean(),
            "recall_patched": found[1].mean(),
            "auc": roc_auc_score(ill, score),
            # Without and with a patch everywhere, so that it says nothing.
            "auc_no_patch": roc_auc_score(ill[~patch], score[~patch]),
            "auc_all_patched": roc_auc_score(
                np.repeat([True, False], [len(patched), len(healthy_patched)]),
                np.concatenate([patched, healthy_patched]),
            ),
            "specificity": (score[~ill & ~patch] <= 0).mean(),
            "specificity_patched": (healthy_patched <= 0).mean(),
            "accuracy": ((score > 0) == ill).mean(),
        }, found


def images_with_patch(root: Path) -> set[str]:
    """Return the paths, relative to `root`, of the images with a patch."""
    with (root / "groups.csv").open(newline="", encoding="utf-8") as lines:
        return {row["file"] for row in csv.DictReader(lines) if "with patch" in row["group"]}


def tick_patches(
    cues: proxy_keras.Cues, data: proxy_keras.ImageData, patches: set[str]
) -> dict[str, Any]:
    """Tick the cues whose training images mostly have a patch, and return what was ticked."""
    path_of = dict(zip(data.table.example_ids, data.table.paths, strict=True))
    images = cues.images.take(np.flatnonzero(~cues.images.is_held_out))
    has_patch = np.array([path_of[example_id] in patches for example_id in images.example_ids])
    names, details = cues.shown, list[str]()
    while names and not cues.ticked:
        for name in names:
            share = images.evidence_by_cluster[:, cues.tree.members(name)].sum(axis=1)
            shown = has_patch[share >= PRESENT]
            if len(shown) >= FEWEST and shown.mean() >= SHARE:
                cues.tick([name])
                details.append(f"{name}: {shown.sum()} of {len(shown)}")
        names = [half for name in names for half in cues.tree.halves_of(name)]
    is_ticked = cues.ticked_clusters[images.clusters] & (images.evidence >= 255 * MASK_EVIDENCE)
    masked = is_ticked.any(axis=(1, 2))
    return {
        "clusters": images.num_clusters,
        "ticked": len(cues.ticked),
        "with a patch, of the images that have the cue": "; ".join(details),
        "evidence": f"{cues.ticked_evidence:.4f}",
        "masked images": int(masked.sum()),
        "of them with a patch": int((masked & has_patch).sum()),
        "images with a patch": int(has_patch.sum()),
    }


def append(file: Path, row: dict[str, Any]) -> None:
    """Add a row to a table, with a header if the table is new."""
    is_new = not file.exists()
    with file.open("a", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, row, lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(row)


def rows(file: Path) -> list[dict[str, str]]:
    """Return the rows of a table; none without the file."""
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def train_on(model: Path, out: Path, seed: int, root: Path, epochs: int, options: list[str]) -> Any:
    """Train a model further by the command, into a run folder, and return its metrics.

    Raises:
        SystemExit: The command failed.
    """
    source = ["--data", str(root / "isic_patches"), "--model", str(model), "--seed", str(seed)]
    words = [*source, "--epochs", str(epochs), *RECIPE, *options, "--resume", "--out", str(out)]
    if code := train.main(words):
        raise SystemExit(code)
    return json.loads((out / "metrics.json").read_text(encoding="utf-8"))


def run_seed(
    seed: int, arms: Sequence[str], root: Path, out: Path, results: Path, *, last_stages: bool
) -> None:
    """Train the plain network of a seed, tick its cues, and run the arms that have no row yet."""
    folder, prefix = out / str(seed), PREFIX if last_stages else ""
    freeze = ["--freeze", *([LAST_STAGES] if last_stages else [])]
    data = proxy_keras.ImageData.from_folder(root / "isic_patches", image_size=SIZE, progress=False)
    start = folder / "start.keras"
    plain = found_file(out, seed, f"{prefix}before").with_name("model.keras")
    cue_folder = found_file(out, seed, f"{prefix}cues").parent
    if not start.exists():
        folder.mkdir(parents=True, exist_ok=True)
        keras.utils.set_random_seed(seed)
        transfer_model(data.num_classes, SIZE).save(start)
    options = [*freeze, "--no-proxy"]
    runs = {"before": train_on(start, plain.parent, seed, root, PLAIN_EPOCHS, options)}
    model = keras.models.load_model(plain, compile=False)
    if not cue_folder.exists():
        cues = proxy_keras.find_cues(model, data, seed=seed, verbose=0)
        facts = tick_patches(cues, data, images_with_patch(root / "isic_patches"))
        print(cues, facts, sep="\n", flush=True)
        cues.save(cue_folder)
        table = results.with_name(f"{prefix}cues.csv".replace(" ", "_"))
        append(table, {"seed": seed, **facts})
    test = TestImages(data, root, model, LAST_STAGES if last_stages else "logits")
    done = {row["arm"] for row in rows(results) if row["seed"] == str(seed)}
    for arm in ("before", *arms):
        if f"{prefix}{arm}" in done:
            continue
        file = found_file(out, seed, f"{prefix}{arm}")
        target = file.parent
        words = [str(cue_folder) if word == "CUES" else word for word in ARMS.get(arm, [])]
        words = [*freeze, *words]
        metrics = runs.get(arm) or train_on(plain, target, seed, root, EPOCHS, words)
        scores, found = test.measure(keras.models.load_model(target / "model.keras", compile=False))
        if abs(scores["accuracy"] - metrics["test"]["accuracy"]) > 1.5 / len(data.test):
            raise RuntimeError(f"{target}: stored features and the saved model disagree.")
        np.save(file, found)
        row = {name: f"{score:.4f}" for name, score in scores.items()}
        cost = {"cpu_seconds": f"{metrics['cpu_seconds']:.0f}"}
        append(results, {"seed": seed, "arm": f"{prefix}{arm}", **row, **cost})
        print(seed, f"{prefix}{arm}", row, cost, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the seeds, or print the tables of finished ones."""
    parser = argparse.ArgumentParser(description="Mend a classifier of skin lesions.")
    parser.add_argument("--data", type=Path, default=Path("data"), metavar="DIR")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)), metavar="I")
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS, metavar="ARM")
    parser.add_argument("--out", type=Path, default=Path("runs/isic_patches"), metavar="DIR")
    parser.add_argument("--results", type=Path, default=HERE / "results.csv", metavar="FILE")
    text = "train the last two stages instead of the last layer, as arms of their own"
    parser.add_argument("--last-stages", action="store_true", help=text)
    parser.add_argument("--table", action="store_true", help="only print the tables")
    given = parser.parse_args(arguments)
    if not given.table:
        for seed in given.seeds:
            paths = given.data, given.out, given.results
            run_seed(seed, given.arms, *paths, last_stages=given.last_stages)
    print_tables(given.results)
    if given.out.is_dir():
        print_over_images(given.results, given.out)


if __name__ == "__main__":
    main()
