"""Train your own Keras model on your own tf.data stream, plainly and with proxies.

python examples/own_model.py --out runs/own_model
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

# Import the packages of this repository without installing them. Omit this if they are installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import proxy_keras

IMAGE_SIZE = 32
BATCH_SIZE = 64


def my_stream() -> tf.data.Dataset:
    """Return 1,797 handwritten digits as (image uint8 [8, 8, 1], label), unbatched, in fixed order.

    Any source of such pairs works: `from_generator`, `TFRecordDataset`, ... It is read again in
    each epoch, so it may be larger than memory. The training split shuffles it.
    """
    digits = load_digits()
    images = np.uint8(digits.images * 255 / 16)[..., np.newaxis]
    return tf.data.Dataset.from_tensor_slices((images, digits.target))


def my_model(num_classes: int) -> keras.Model:
    """Return a small network. Any network with one image input and one output per class works."""
    images = keras.Input((IMAGE_SIZE, IMAGE_SIZE, 3))
    # Images are in [0, 255]. Preprocessing belongs inside the model, so that heatmaps, export and
    # serving use it too.
    x = layers.Rescaling(1 / 255)(images)
    for filters in (16, 32, 64):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
        x = layers.MaxPooling2D()(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(num_classes)(x))


def train(
    data: proxy_keras.ImageData,
    epochs: int,
    callbacks: list[keras.callbacks.Callback],
    seed: int,
) -> tuple[keras.Model, float]:
    """Train a model; return it and its accuracy on the test split."""
    # Both runs start from the same weights and see the images in the same order.
    keras.utils.set_random_seed(seed)
    model = my_model(data.num_classes)
    model.compile(
        keras.optimizers.Adam(2e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(
        data.train.batches(BATCH_SIZE),
        validation_data=data.val.batches(BATCH_SIZE),
        epochs=epochs,
        callbacks=callbacks,
        shuffle=False,  # The batches are already shuffled.
        verbose=2,
    )
    scores = model.evaluate(data.test.batches(BATCH_SIZE), verbose=0, return_dict=True)
    return model, scores["accuracy"]


def save_heatmaps(model: keras.Model, data: proxy_keras.ImageData, file: Path) -> None:
    """Write a picture of eight test images and their heatmaps."""
    images, _ = next(iter(data.test.batches(8)))
    heatmaps = proxy_keras.explain(model, images, method="grad_cam_plus_plus", size="image")
    figure = Figure(figsize=(12, 3.2), layout="constrained")
    for column, axes in enumerate(figure.subplots(2, 8).T):
        for axis in axes:
            axis.imshow(np.uint8(images[column]))
            axis.axis("off")
        axes[1].imshow(heatmaps[column], cmap="inferno", alpha=0.6, vmin=0, vmax=1)
    figure.savefig(file)


def save(model: keras.Model, proxy: proxy_keras.ProxyAttention, out: Path) -> None:
    """Write the model and the current proxies.

    To resume after epoch N, load the model, create a ProxyAttention with the same settings, then

        proxy.set_state(dict(np.load("proxies.npz")), json.loads(Path("proxies.json").read_text()))
        model.fit(..., initial_epoch=N, callbacks=[proxy])
    """
    model.save(out / "model.keras")
    proxies, rest = proxy.get_state()
    np.savez(out / "proxies.npz", **proxies)
    (out / "proxies.json").write_text(json.dumps(rest))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        description="Train your own model on your own tf.data stream, plainly and with proxies. "
        "Works offline; takes less than two minutes on two cores.",
    )
    parser.add_argument("--epochs", type=int, default=10, metavar="N", help="(default: 10)")
    parser.add_argument("--seed", type=int, default=0, metavar="I", help="(default: 0)")
    parser.add_argument("--out", type=Path, default=Path("runs/own_model"), metavar="DIR")
    return parser


def main(arguments: list[str] | None = None) -> None:
    """Train twice, print both accuracies, and write the results."""
    given = build_parser().parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)

    # The split into train, val and test is drawn here, once; it depends on the seed.
    data = proxy_keras.ImageData.from_dataset(
        my_stream(), image_size=IMAGE_SIZE, seed=given.seed, progress=False
    )
    print(data.describe())

    _, plain = train(data, given.epochs, [], given.seed)

    # At the end of every third epoch, a fifth of the misclassified training images is explained;
    # from the next epoch on, these images are shown as proxies. These are the thesis's settings;
    # `select`, `show`, `threshold` and `weight` make them stronger.
    proxy = proxy_keras.ProxyAttention(data.train, schedule="every:3", verbose=0)
    model, with_proxies = train(data, given.epochs, [proxy], given.seed)

    save_heatmaps(model, data, given.out / "heatmaps.png")
    save(model, proxy, given.out)
    for step in proxy.steps:
        print(step)
    print(f"test accuracy, trained plainly:     {plain:.1%}")
    print(f"test accuracy, trained on proxies:  {with_proxies:.1%}")
    print("One run of each is an example, not a comparison: see `python -m tuner.study`.")
    print(f"written to {given.out}: model.keras, proxies.npz, proxies.json, heatmaps.png")


if __name__ == "__main__":
    main()
