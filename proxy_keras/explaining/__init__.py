"""Explanations of image files, and a sheet of all augmentations."""
