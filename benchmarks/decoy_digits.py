"""Points of accuracy that the decoys of decoy_digits cost a plainly trained network.

python benchmarks/decoy_digits.py [--quick] [--seeds 0 1 2]
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from _timing import environment, table

from proxy_keras import ImageData, build_model
from proxy_keras.data.decoy_digits import make_decoy_digits
from proxy_keras.training.count_epochs import CountEpochs
from proxy_keras.training.optimizer import make_optimizer


def accuracy(seed: int, *, decoys: bool, epochs: int, batch: int = 32) -> float:
    """Return the test accuracy of resnet20 after the last epoch, in per cent."""
    made = make_decoy_digits(decoys=decoys)
    data = ImageData.from_arrays(
        made.x_train,
        made.y_train,
        test_images=made.x_test,
        test_labels=made.y_test,
        seed=0,
        progress=False,
    )
    data.train.reseed(seed)
    keras.utils.set_random_seed(seed)
    model = build_model("resnet20", num_classes=10, image_size=32)
    model.compile(
        make_optimizer(lr=1e-3, total_steps=epochs * -(-len(data.train) // batch)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(
        data.train.batches(batch),
        epochs=epochs,
        verbose=0,
        shuffle=False,
        callbacks=[CountEpochs(data.train)],
    )
    return 100 * float(model.evaluate(data.test.batches(64), verbose=0)[1])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed, few epochs")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    given = parser.parse_args()
    print(environment())
    epochs = 3 if given.quick else 20
    rows = []
    for seed in given.seeds[:1] if given.quick else given.seeds:
        without = accuracy(seed, decoys=False, epochs=epochs)
        with_decoys = accuracy(seed, decoys=True, epochs=epochs)
        lost = without - with_decoys
        rows.append([str(seed), f"{without:.1f}", f"{with_decoys:.1f}", f"{lost:.1f}", "15 to 40"])
    header = ["seed", "without decoys", "with decoys", "points lost", "target"]
    print(table(f"decoy_digits: resnet20, {epochs} epochs, test accuracy", rows, header))


if __name__ == "__main__":
    main()
