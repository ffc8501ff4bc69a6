"""Checkpoints of a run: finding, resuming, pruning and merging them."""
