"""The project's version, available without an installation."""

VERSION = "0.1.0"
"""The same as in `pyproject.toml`."""
