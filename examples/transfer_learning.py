"""Train a new head on EfficientNet-Lite0's ImageNet weights, plainly and with proxies.

python examples/transfer_learning.py --data imagewoof --out runs/transfer_learning
python examples/transfer_learning.py --data imagewoof --last-stages blocks_11
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import keras
import numpy as np
from imagewoof import IMAGENET_IDS

# Import the packages of this repository without installing them. Omit this if they are installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import proxy_keras
from proxy_keras.io.extras import MissingExtra
from proxy_keras.models import build_model, freeze_backbone
from proxy_keras.models.efficientnet_lite0_weights import installed_file, load_tensors
from proxy_keras.models.legacy_torch import read_tensors

BATCH_SIZE = 32


def imagenet_accuracy(data: proxy_keras.ImageData, image_size: int) -> float:
    """Return the top-1 accuracy among ImageNet's 1,000 classes on the test split, in [0, 1].

    Nothing is trained. A mistake in preprocessing, padding or the axis order of kernels would show
    here, whereas fine-tuning would hide it.
    """
    model = build_model("efficientnet_lite0", num_classes=1000, image_size=image_size)
    load_tensors(model, read_tensors(installed_file()))
    imagenet_ids = np.array([IMAGENET_IDS[name] for name in data.classes])
    right = [
        np.argmax(model.predict_on_batch(images), axis=1) == imagenet_ids[labels]
        for images, labels in data.test.batches(BATCH_SIZE).as_numpy_iterator()
    ]
    return float(np.concatenate(right).mean())


def transfer_model(
    num_classes: int, image_size: int, last_stages: str | None = None
) -> keras.Model:
    """Return the pretrained network with a new head; only that is trained, or `last_stages` too."""
    model = build_model(
        "efficientnet_lite0",
        num_classes=num_classes,
        image_size=image_size,
        weights="imagenet",
        dropout=0.2,
    )
    # The dropout before the head stays active.
    freeze_backbone(model, before=last_stages or "dropout")
    model.compile(
        keras.optimizers.Adam(2e-3 if last_stages is None else 2e-4),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def train(
    model: keras.Model,
    data: proxy_keras.ImageData,
    epochs: int,
    callbacks: list[keras.callbacks.Callback],
) -> float:
    """Train the model and return its accuracy on the test split, in [0, 1]."""
    model.fit(
        data.train.batches(BATCH_SIZE),
        validation_data=data.val.batches(BATCH_SIZE),
        epochs=epochs,
        callbacks=callbacks,
        shuffle=False,  # The batches are already shuffled.
        verbose=2,
    )
    return model.evaluate(data.test.batches(BATCH_SIZE), verbose=0, return_dict=True)["accuracy"]


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        description="Train a new head on EfficientNet-Lite0's ImageNet weights, plainly and with "
        "proxies. 2,000 images take about six minutes on two cores.",
    )
    parser.add_argument(
        "--data",
        required=True,
        metavar="ROOT",
        help="images as ROOT/CLASS/* or ROOT/{train,val,test}/CLASS/*, e.g. Imagewoof",
    )
    parser.add_argument(
        "--last-stages",
        metavar="LAYER",
        help="also train this stage and all after it, such as blocks_11 (default: only the head)",
    )
    parser.add_argument("--epochs", type=int, default=3, metavar="N", help="(default: 3)")
    parser.add_argument("--image-size", type=int, default=224, metavar="P", help="(default: 224)")
    parser.add_argument("--seed", type=int, default=0, metavar="I", help="(default: 0)")
    parser.add_argument("--out", type=Path, default=Path("runs/transfer_learning"), metavar="DIR")
    return parser


def run(given: argparse.Namespace) -> None:
    """Train twice, print both accuracies, and write the model.

    Raises:
        MissingExtra, OSError, ValueError: The weights or the images are missing or unusable.
    """
    data = proxy_keras.ImageData.from_folder(
        given.data, image_size=given.image_size, seed=given.seed
    )
    print(data.describe())
    if set(data.classes) <= set(IMAGENET_IDS):
        accuracy = imagenet_accuracy(data, given.image_size)
        print(f"test accuracy before training, among ImageNet's 1,000 classes: {accuracy:.1%}")

    def fresh() -> keras.Model:
        # Both runs start from the same head.
        keras.utils.set_random_seed(given.seed)
        return transfer_model(data.num_classes, given.image_size, given.last_stages)

    plain = train(fresh(), data, given.epochs, [])
    model = fresh()
    # At the end of the first epoch, every image is explained; from then on, each is shown half of
    # the time with its hot pixels black. By default, only a fifth of the misclassified images would
    # get proxies: a handful here.
    proxy = proxy_keras.ProxyAttention(
        data.train,
        schedule=["p", *[1] * (given.epochs - 1)],
        select="all",
        subset=1.0,
        threshold=0.5,
        weight=1.0,
        replacement="black",
        show=0.5,
    )
    with_proxies = train(model, data, given.epochs, [proxy])

    given.out.mkdir(parents=True, exist_ok=True)
    model.save(given.out / "model.keras")
    (given.out / "labels.json").write_text(json.dumps(data.classes))
    print(f"test accuracy, trained plainly:     {plain:.1%}")
    print(f"test accuracy, trained on proxies:  {with_proxies:.1%}")
    print("One run of each is an example, not a comparison: see `python -m tuner.study`.")
    print("To export an ONNX file that returns the class and its heatmap:")
    print(
        f"  python -m export {given.out / 'model.keras'} --labels {given.out / 'labels.json'}"
        f" --out {given.out / 'model.onnx'}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the example; return 0 if done, 2 if weights or images are missing or unusable."""
    given = build_parser().parse_args(arguments)
    try:
        run(given)
    except (MissingExtra, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
