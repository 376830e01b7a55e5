"""What a heatmap costs, beside the plain compiled forward pass and tf-keras-vis.

python benchmarks/attribution.py [--quick]
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from _timing import Timing, environment, interleaved, table

from proxy_keras import build_model, heatmaps
from proxy_keras.attribution import Explainer
from proxy_keras.augment.attenuate import attenuate

FORWARD = "plain compiled forward"
BLEND = "grad_cam: logits, heat, enlarged, blended"
REFERENCE = "tf-keras-vis Gradcam, its own call"
ASKED = {BLEND: ">= 0.95", REFERENCE: f"<= 1/3 of '{BLEND}'"}


def _functions(model: keras.Model, images: np.ndarray) -> dict[str, Callable[[], object]]:
    """What is timed, by name; all start from the same NumPy images and end in NumPy."""
    forward = tf.function(lambda x: model(x, training=False), reduce_retracing=True)
    explainers = {
        method: Explainer(model, method)
        for method in ("grad_cam", "grad_cam_plus_plus", "layer_cam")
    }

    @tf.function
    def blend(images: tf.Tensor, heat: tf.Tensor) -> tf.Tensor:
        large = heatmaps.enlarge(heat, images.shape[1:3])
        return attenuate(images / 255.0, large, threshold=0.5, weight=0.7)

    def heat_and_blend() -> np.ndarray:
        return blend(images, explainers["grad_cam"].heatmaps(images)).numpy()

    functions: dict[str, Callable[[], object]] = {
        FORWARD: lambda: forward(images).numpy(),
        BLEND: heat_and_blend,
        REFERENCE: _tf_keras_vis(model, images, explainers["grad_cam"].target_layer),
    }
    for method, explainer in explainers.items():
        functions[f"{method}: logits and heat"] = lambda explainer=explainer: (
            explainer.logits_and_heatmaps(images)
        )
    return functions


def _tf_keras_vis(model: keras.Model, images: np.ndarray, layer: str) -> Callable[[], object]:
    """A call as its documentation shows it, on the user's model, of the predicted classes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from tf_keras_vis.gradcam import Gradcam
        from tf_keras_vis.utils.scores import CategoricalScore

    visualise = Gradcam(model)
    classes = np.argmax(model(images, training=False), axis=1).tolist()
    return lambda: visualise(CategoricalScore(classes), images, penultimate_layer=layer)


def compare(name: str, size: int, batch: int, rounds: int) -> str:
    """The table of one network."""
    keras.utils.set_random_seed(0)
    model = build_model(name, num_classes=1000 if size == 224 else 10, image_size=size)
    images = np.random.default_rng(0).uniform(0, 255, (batch, size, size, 3)).astype(np.float32)
    times = interleaved(_functions(model, images), rounds=rounds, warm_up=2)
    rows = [_row(what, timing, times[FORWARD], batch) for what, timing in times.items()]
    gain = times[REFERENCE].cpu_s / times[BLEND].cpu_s
    title = f"{name}, {size} px, batches of {batch}, {rounds} rounds"
    header = ["what", "images/s", "wall x", "CPU x", "throughput by CPU time", "asked"]
    return (
        table(title, rows, header)
        + f"\n\nHeat and blend against tf-keras-vis: {gain:.1f}x by CPU time (asked: >= 3x)."
    )


def _row(what: str, timing: Timing, forward: Timing, batch: int) -> list[str]:
    return [
        what,
        f"{batch / timing.wall_s:.1f}",
        f"{timing.wall_s / forward.wall_s:.2f}",
        f"{timing.cpu_s / forward.cpu_s:.2f}",
        f"{forward.cpu_s / timing.cpu_s:.2f}",
        ASKED.get(what, ""),
    ]


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller batches")
    quick = parser.parse_args().quick
    print(environment())
    print(compare("resnet18", 32, batch=32 if quick else 64, rounds=5 if quick else 15))
    print(compare("resnet50", 224, batch=4 if quick else 16, rounds=3 if quick else 9))


if __name__ == "__main__":
    main()
