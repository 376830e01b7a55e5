"""Arithmetic on heatmaps that attribution and augmentation share."""
