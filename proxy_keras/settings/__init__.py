"""What can be set in a training run: the settings, their checks, and the options made of them."""
