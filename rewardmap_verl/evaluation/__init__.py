"""Evaluation: the papers' metrics of a model or of saved answers, with intervals and baselines."""
