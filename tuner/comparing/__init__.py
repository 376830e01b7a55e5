"""What `python -m tuner.study` is made of."""
