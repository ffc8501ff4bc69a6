"""Run the evidence study: ``python -m benchmarks.evidence --help``."""

from benchmarks.evidence.cli import evidence

evidence()
