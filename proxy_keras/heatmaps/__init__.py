"""Arithmetic on heatmaps, shared by attribution and augmentation."""
