"""Curriculum: stages, schedule, promotion, and the order of the training rows."""
