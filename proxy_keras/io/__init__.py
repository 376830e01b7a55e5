"""Atomic file writes, saved models, figures, and checks that a host can be reached."""
