"""What `--robust` adds to a training run."""
