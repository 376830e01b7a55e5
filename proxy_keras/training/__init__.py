"""Training runs: preparation, `fit`, checkpoints, and the files of the run folder."""
