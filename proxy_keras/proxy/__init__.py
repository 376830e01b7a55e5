"""Proxy Attention: the callback, image selection, heatmap filters and controls."""
