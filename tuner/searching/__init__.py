"""What `python -m tuner.search` is made of."""
