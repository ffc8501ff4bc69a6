"""Evaluation: the papers' figures of a model or of saved answers, with intervals and baselines."""
