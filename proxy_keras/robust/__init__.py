"""Methods against spurious correlations, each after its paper; `train --robust` runs them."""
