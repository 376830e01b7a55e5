"""Cost of a heatmap by each method, compared with a plain compiled forward pass and tf-keras-vis.

python benchmarks/attribution.py [--quick]
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf
from _timing import Timing, environment, interleaved, table

from proxy_keras import build_model
from proxy_keras.attribution import Explainer, get, names
from proxy_keras.augment.attenuation import attenuate
from proxy_keras.heatmaps import scaling

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
    from tf_keras_vis.layercam import Layercam
    from tf_keras_vis.saliency import Saliency
    from tf_keras_vis.utils.scores import CategoricalScore

FORWARD = "plain compiled forward"
BLEND = "grad_cam: logits, heat, resized, blended"
PEERS = {
    "grad_cam": Gradcam,
    "grad_cam_plus_plus": GradcamPlusPlus,
    "layer_cam": Layercam,
    "saliency": Saliency,
}
TARGETS = {
    "grad_cam": "<= 1.05",
    "grad_cam_plus_plus": "<= 1.05",
    "layer_cam": "<= 1.05",
    BLEND: "<= 1.05",
}
HEADER = ["what", "images/s", "wall x", "CPU x", "target"]


def _forward(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    forward = tf.function(lambda x: model(x, training=False), reduce_retracing=True)
    return lambda images: forward(images).numpy()


def _peer(model: keras.Model, method: str, images: np.ndarray, layer: str | None) -> Callable:
    """Return a documented call of tf-keras-vis, on the user's model, for the predicted classes."""
    visualise = PEERS[method](model)
    score = CategoricalScore(np.argmax(model(images, training=False), axis=1).tolist())
    where = {} if layer is None else {"penultimate_layer": layer}
    return lambda: visualise(score, images, **where)


def _rows(
    times: Mapping[str, Timing], forward: Timing, batch: int, targets: Mapping[str, str]
) -> list[list[str]]:
    return [
        [
            what,
            f"{batch / t.wall_s:.1f}" if t.wall_s < batch else f"{batch / t.wall_s:.3f}",
            f"{t.wall_s / forward.wall_s:.2f}",
            f"{t.cpu_s / forward.cpu_s:.2f}",
            targets.get(what, ""),
        ]
        for what, t in times.items()
    ]


def single_pass(name: str, size: int, batch: int, rounds: int) -> str:
    """Compare the methods that cost about one forward pass with tf-keras-vis, from NumPy to NumPy.

    The last column of tf-keras-vis says how much faster ours is.
    """
    model, images = _network(name, size), _images(batch, size)
    explainers = {m: Explainer(model, m) for m in names() if get(m).single_pass}
    forward = _forward(model)

    @tf.function
    def blend(images: tf.Tensor, heat: tf.Tensor) -> tf.Tensor:
        large = scaling.enlarge(heat, images.shape[1:3])
        return attenuate(images / 255.0, large, threshold=0.5, weight=0.7)

    functions: dict[str, Callable[[], object]] = {FORWARD: lambda: forward(images)}
    functions[BLEND] = lambda: blend(images, explainers["grad_cam"].heatmaps(images)).numpy()
    for method, explainer in explainers.items():
        functions[method] = lambda explainer=explainer: explainer.logits_and_heatmaps(images)
    saliency = Explainer(model, "saliency")
    functions["saliency"] = lambda: saliency.logits_and_heatmaps(images)
    layer = explainers["grad_cam"].target_layer
    for method in PEERS:
        where = layer if method != "saliency" else None
        functions[f"tf-keras-vis, {method}"] = _peer(model, method, images, where)
    times = interleaved(functions, rounds=rounds, warm_up=2)
    gains = {
        f"tf-keras-vis, {method}": f"ours {times[f'tf-keras-vis, {method}'].cpu_s / t.cpu_s:.1f}x "
        "faster" + ("" if method == "saliency" else ", target 3x")
        for method, t in times.items()
        if method in PEERS
    }
    title = f"{name}, {size} px: one pass, batches of {batch}, {rounds} rounds"
    rows = _rows(times, times[FORWARD], len(images), {**TARGETS, **gains})
    return table(title, rows, HEADER)


def many_passes(name: str, size: int, batch: int, rounds: int) -> str:
    """Measure all other methods with their default options."""
    model, images = _network(name, size), _images(batch, size)
    forward = _forward(model)
    functions: dict[str, Callable[[], object]] = {FORWARD: lambda: forward(images)}
    left_out = []
    for method in names():
        if get(method).single_pass or method == "saliency":
            continue
        try:
            explainer = Explainer(model, method)
            explainer.prepare()
            # The first run of a graph costs more. Untraced methods have no graph but the network's.
            _ = explainer.heatmaps(images) if get(method).is_traced else explainer.logits(images)
        except ValueError as error:
            left_out.append(f"{method}: {error}")
            continue
        functions[method] = lambda explainer=explainer: explainer.logits_and_heatmaps(images)
    plain = interleaved({FORWARD: functions.pop(FORWARD)}, rounds=9, warm_up=2)
    times = {**plain, **interleaved(functions, rounds=rounds, warm_up=0)}
    title = f"{name}, {size} px: many passes, default options, {batch} images, {rounds} rounds"
    rows = _rows(times, times[FORWARD], len(images), {})
    return table(title, rows, HEADER) + "".join(f"\n\nNot measured: {line}" for line in left_out)


def _network(name: str, size: int) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = build_model(name, num_classes=1000 if size == 224 else 10, image_size=size)
    return model


def _images(count: int, size: int) -> np.ndarray:
    images = np.random.default_rng(0).uniform(0, 255, (count, size, size, 3))
    return images.astype(np.float32)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller batches")
    quick = parser.parse_args().quick
    print(environment())
    print(single_pass("resnet18", 32, *((32, 5) if quick else (64, 15))))
    print(single_pass("resnet50", 224, *((4, 3) if quick else (16, 9))))
    print(many_passes("resnet18", 32, 2, 1 if quick else 3))
    if not quick:
        print(many_passes("resnet50", 224, 1, 1))


if __name__ == "__main__":
    main()
