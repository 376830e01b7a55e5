"""Implementation of `python -m tuner.search`."""
