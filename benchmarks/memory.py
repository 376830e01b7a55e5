"""Growth of memory with the number of explanations, for every attribution method.

python benchmarks/memory.py [--quick]
"""

from __future__ import annotations

import argparse
import gc
import os
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import psutil
from _timing import environment, table

from proxy_keras import build_model
from proxy_keras.attribution import Explainer, names

FEW = {
    "smooth_grad": {"samples": 4},
    "smooth_grad_squared": {"samples": 4},
    "var_grad": {"samples": 4},
    "integrated_gradients": {"steps": 8},
    "conductance": {"steps": 8},
    "gradient_shap": {"samples": 8},
    "rise": {"masks": 64},
    "lime": {"samples": 64},
    "sp_lime": {"samples": 64},
    "kernel_shap": {"samples": 64, "superpixels": 16},
}


def _resident() -> float:
    gc.collect()
    return psutil.Process().memory_info().rss / 2**20


def growth(calls: int) -> str:
    """Measure the memory gained from call 10 on."""
    keras.utils.set_random_seed(0)
    model = build_model("resnet20", num_classes=10, image_size=32)
    images = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)
    rows = []
    for name in names():
        try:
            explainer = Explainer(model, name, **FEW.get(name, {}))
            for _ in range(10):
                explainer.heatmaps(images)
        except ValueError as error:
            rows.append([name, "", f"not applicable: {str(error).split('.')[0]}"])
            continue
        before = _resident()
        for _ in range(calls):
            explainer.heatmaps(images)
        gained = _resident() - before
        rows.append([name, f"{gained:+.1f} MB", f"{1024 * gained / calls:+.0f} KB"])
    return table(
        f"{calls} calls of 4 images after 10: resnet20, 32 px", rows, ["", "total", "per call"]
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer calls")
    print(environment())
    print(growth(20 if parser.parse_args().quick else 100))


if __name__ == "__main__":
    warnings.simplefilter("ignore", UserWarning)
    main()
