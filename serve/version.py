"""The version of the project, known without an installation."""

VERSION = "0.1.0"
"""That of `pyproject.toml`."""
