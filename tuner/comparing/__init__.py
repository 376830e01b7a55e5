"""Implementation of `python -m tuner.study`."""
