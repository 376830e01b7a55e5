"""Implementation of `python -m tuner.aggregate`."""
