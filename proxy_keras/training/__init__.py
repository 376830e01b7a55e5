"""One training run: prepared, trained, saved, resumed, and written up in its folder."""
