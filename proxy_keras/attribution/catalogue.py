"""Names and options of the attribution methods, available without importing TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from proxy_keras.attribution import masking_options as m
from proxy_keras.attribution import method_options as o

ENGINES = ("compiled", "tf-keras-vis")

EXPLAIN_CHOICES = ("predicted", "true", "contrast")
"""Names of the scores that can be explained."""


@dataclass(frozen=True)
class Entry:
    """Where a method is implemented, and its options.

    Attributes:
        location: "module:class", the module relative to this package or absolute.
        options: Base class of the method that declares its options.
    """

    location: str
    options: type[o.Options] = o.Options


METHODS = {
    "cam": Entry(".cam:CAM"),
    "grad_cam": Entry(".grad_cam:GradCAM"),
    "grad_cam_plus_plus": Entry(".grad_cam_plus_plus:GradCAMPlusPlus"),
    "hires_cam": Entry(".hires_cam:HiResCAM"),
    "layer_cam": Entry(".layer_cam:LayerCAM"),
    "eigen_cam": Entry(".eigen_cam:EigenCAM"),
    "eigen_grad_cam": Entry(".eigen_grad_cam:EigenGradCAM"),
    "score_cam": Entry(".score_cam:ScoreCAM", o.ChunkOptions),
    "faster_score_cam": Entry(".faster_score_cam:FasterScoreCAM", o.FasterScoreCAMOptions),
    "layer_score_cam": Entry(".layer_score_cam:LayerScoreCAM", o.ChunkOptions),
    "ablation_cam": Entry(".ablation_cam:AblationCAM", o.ChunkOptions),
    "saliency": Entry(".saliency:Saliency"),
    "deconvnet": Entry(".deconvnet:Deconvnet"),
    "guided_backprop": Entry(".guided_backprop:GuidedBackprop"),
    "guided_grad_cam": Entry(".guided_grad_cam:GuidedGradCAM"),
    "smooth_grad": Entry(".smooth_grad:SmoothGrad", o.NoiseTunnelOptions),
    "smooth_grad_squared": Entry(".smooth_grad_squared:SmoothGradSquared", o.NoiseTunnelOptions),
    "var_grad": Entry(".var_grad:VarGrad", o.NoiseTunnelOptions),
    "integrated_gradients": Entry(".integrated_gradients:IntegratedGradients", o.PathOptions),
    "conductance": Entry(".conductance:Conductance", o.PathOptions),
    "deep_lift": Entry(".deep_lift:DeepLIFT", o.BaselineOptions),
    "gradient_shap": Entry(".gradient_shap:GradientSHAP", o.GradientSHAPOptions),
    "lrp": Entry(".lrp:LRP", o.LRPOptions),
    "deep_fool": Entry(".deep_fool:DeepFool", o.DeepFoolOptions),
    "occlusion": Entry(".occlusion:Occlusion", m.OcclusionOptions),
    "rise": Entry(".rise:RISE", m.RISEOptions),
    "lime": Entry(".lime:LIME", m.LIMEOptions),
    "sp_lime": Entry(".sp_lime:SPLIME", m.SPLIMEOptions),
    "kernel_shap": Entry(".kernel_shap:KernelSHAP", m.KernelSHAPOptions),
    "attention_rollout": Entry(".attention_rollout:AttentionRollout", o.AttentionRolloutOptions),
    "spectral_residual": Entry(".spectral_residual:SpectralResidual", o.ImageSaliencyOptions),
    "graph_based": Entry(".graph_based:GraphBased", o.GraphBasedOptions),
    "whitening": Entry(".whitening:Whitening", o.WhiteningOptions),
    "dynamic": Entry(".dynamic:Dynamic", o.DynamicOptions),
}
"""Class activation maps, gradients, perturbations, attention, and image-only saliency."""


def names() -> list[str]:
    """Return the names of all methods."""
    return list(METHODS)


def find(name: str) -> Entry:
    """Return the entry of a method.

    Raises:
        ValueError: There is no such method; the message lists the known ones.
    """
    if name not in METHODS:
        raise ValueError(f"Unknown attribution method '{name}'. Known: {', '.join(METHODS)}")
    return METHODS[name]


def make_options(name: str, options: dict[str, Any]) -> o.Options:
    """Return the options of a method, checked and with defaults filled in.

    Args:
        name: Name of the method.
        options: The options to set, by name.

    Raises:
        ValueError: Unknown method, unknown option, or an option outside its range.
    """
    kind = find(name).options
    known = kind.names()
    unknown = [key for key in options if key not in known]
    if unknown:
        raise ValueError(
            f"Method '{name}' has no option {', '.join(unknown)}. "
            f"Its options: {', '.join(sorted(known)) or 'none'}"
        )
    return kind(**options)
