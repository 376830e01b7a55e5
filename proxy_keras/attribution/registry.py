"""The attribution methods by name."""

from __future__ import annotations

import inspect
from typing import Any

from proxy_keras.attribution.ablation_cam import AblationCAM
from proxy_keras.attribution.attention_rollout import AttentionRollout
from proxy_keras.attribution.cam import CAM
from proxy_keras.attribution.conductance import Conductance
from proxy_keras.attribution.deconvnet import Deconvnet
from proxy_keras.attribution.deep_fool import DeepFool
from proxy_keras.attribution.deep_lift import DeepLIFT
from proxy_keras.attribution.dynamic import Dynamic
from proxy_keras.attribution.eigen_cam import EigenCAM
from proxy_keras.attribution.eigen_grad_cam import EigenGradCAM
from proxy_keras.attribution.faster_score_cam import FasterScoreCAM
from proxy_keras.attribution.grad_cam import GradCAM
from proxy_keras.attribution.grad_cam_plus_plus import GradCAMPlusPlus
from proxy_keras.attribution.gradient_shap import GradientSHAP
from proxy_keras.attribution.graph_based import GraphBased
from proxy_keras.attribution.guided_backprop import GuidedBackprop
from proxy_keras.attribution.guided_grad_cam import GuidedGradCAM
from proxy_keras.attribution.hires_cam import HiResCAM
from proxy_keras.attribution.integrated_gradients import IntegratedGradients
from proxy_keras.attribution.kernel_shap import KernelSHAP
from proxy_keras.attribution.layer_cam import LayerCAM
from proxy_keras.attribution.layer_score_cam import LayerScoreCAM
from proxy_keras.attribution.lime import LIME
from proxy_keras.attribution.lrp import LRP
from proxy_keras.attribution.method import Method
from proxy_keras.attribution.occlusion import Occlusion
from proxy_keras.attribution.rise import RISE
from proxy_keras.attribution.saliency import Saliency
from proxy_keras.attribution.score_cam import ScoreCAM
from proxy_keras.attribution.smooth_grad import SmoothGrad
from proxy_keras.attribution.smooth_grad_squared import SmoothGradSquared
from proxy_keras.attribution.sp_lime import SPLIME
from proxy_keras.attribution.spectral_residual import SpectralResidual
from proxy_keras.attribution.var_grad import VarGrad
from proxy_keras.attribution.whitening import Whitening

METHODS: dict[str, type[Method]] = {
    "cam": CAM,
    "grad_cam": GradCAM,
    "grad_cam_plus_plus": GradCAMPlusPlus,
    "hires_cam": HiResCAM,
    "layer_cam": LayerCAM,
    "eigen_cam": EigenCAM,
    "eigen_grad_cam": EigenGradCAM,
    "score_cam": ScoreCAM,
    "faster_score_cam": FasterScoreCAM,
    "layer_score_cam": LayerScoreCAM,
    "ablation_cam": AblationCAM,
    "saliency": Saliency,
    "deconvnet": Deconvnet,
    "guided_backprop": GuidedBackprop,
    "guided_grad_cam": GuidedGradCAM,
    "smooth_grad": SmoothGrad,
    "smooth_grad_squared": SmoothGradSquared,
    "var_grad": VarGrad,
    "integrated_gradients": IntegratedGradients,
    "conductance": Conductance,
    "deep_lift": DeepLIFT,
    "gradient_shap": GradientSHAP,
    "lrp": LRP,
    "deep_fool": DeepFool,
    "occlusion": Occlusion,
    "rise": RISE,
    "lime": LIME,
    "sp_lime": SPLIME,
    "kernel_shap": KernelSHAP,
    "attention_rollout": AttentionRollout,
    "spectral_residual": SpectralResidual,
    "graph_based": GraphBased,
    "whitening": Whitening,
    "dynamic": Dynamic,
}
"""Class activation maps, gradients, perturbations, attention, and the image alone."""


def names() -> list[str]:
    """The names of all methods."""
    return list(METHODS)


def get(name: str) -> type[Method]:
    """The class of the method with this name.

    Raises:
        ValueError: There is no such method; the message lists those there are.
    """
    if name not in METHODS:
        raise ValueError(f"Unknown attribution method '{name}'. Known: {', '.join(METHODS)}")
    return METHODS[name]


def make(name: str, options: dict[str, Any]) -> Method:
    """A method made with these options.

    Raises:
        ValueError: Unknown method, unknown option, or an option outside its range.
    """
    method = get(name)
    known = list(inspect.signature(method).parameters)
    unknown = [key for key in options if key not in known]
    if unknown:
        raise ValueError(
            f"Method '{name}' has no option {', '.join(unknown)}. "
            f"Its options: {', '.join(known) or 'none'}"
        )
    return method(**options)
