"""What `python -m tuner.aggregate` is made of."""
