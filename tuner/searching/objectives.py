"""What a search can optimise, and how it ends without a result; needs no KerasTuner."""

OBJECTIVES = {"val_accuracy": "max", "val_loss": "min"}
"""Directions of the objectives, by name."""


class SearchError(RuntimeError):
    """Base of the errors that end a search."""
