"""Heatmaps that say where in an image a classifier looked."""

from proxy_keras.attribution.explainer import Explainer
from proxy_keras.attribution.one_call import explain
from proxy_keras.attribution.registry import METHODS, get, names
from proxy_keras.attribution.target_layer import find_target_layer

__all__ = ["METHODS", "Explainer", "explain", "find_target_layer", "get", "names"]
