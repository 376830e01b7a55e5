"""Whether the smallest network of each family of `keras.applications` can be exported.

python benchmarks/applications.py [--quick]

The networks have random weights and no softmax, whose rounding they would amplify.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from _timing import environment, table

from export.exporter import export_model
from export.source import Source

# Smallest network of each family, and an image size that it takes.
FAMILIES = {
    "ConvNeXtTiny": 64,
    "DenseNet121": 64,
    "EfficientNetB0": 64,
    "EfficientNetV2B0": 64,
    "InceptionResNetV2": 75,
    "InceptionV3": 75,
    "MobileNet": 64,
    "MobileNetV2": 64,
    "MobileNetV3Small": 64,
    "NASNetMobile": 64,
    "ResNet50": 64,
    "ResNet50V2": 64,
    "VGG16": 64,
    "Xception": 75,
}
QUICK = ("MobileNetV3Small",)


def _row(name: str, size: int) -> list[str]:
    """Export one network; return its name, the differences from Keras or the reason, seconds."""
    keras.utils.set_random_seed(0)
    start = time.perf_counter()
    model = getattr(keras.applications, name)(
        weights=None, classes=5, input_shape=(size, size, 3), classifier_activation=None
    )
    source = Source(
        model=model,
        name=name,
        classes=[str(number) for number in range(5)],
        image_size=(size, size),
        data=None,
        split_sha256=None,
        test_accuracy=None,
    )
    with tempfile.TemporaryDirectory() as folder:
        try:
            parity = export_model(source, Path(folder) / "a.onnx").parity
        except ValueError as error:
            cells = [f"refused: {str(error).splitlines()[0][:120]}", ""]
        else:
            cells = [
                f"{max(d.value for d in parity.differences if d.output.startswith(output)):.1e}"
                for output in ("logits", "heatmap")
            ]
    keras.backend.clear_session()
    return [name, *cells, f"{time.perf_counter() - start:.0f}"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small network")
    names = QUICK if parser.parse_args().quick else tuple(FAMILIES)
    print(environment())
    rows = [_row(name, FAMILIES[name]) for name in names]
    header = ["network", "logits", "heatmap", "seconds"]
    print(table("Largest difference of the exported file from Keras", rows, header))


if __name__ == "__main__":
    main()
