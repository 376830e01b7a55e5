"""Hyperparameter search, fair studies, and one table of all runs."""
