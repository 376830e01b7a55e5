"""Proxy Attention: which images, when, what is hidden in them, and what was done."""
