"""Checkpoints of a run: resume, retention and merging."""
