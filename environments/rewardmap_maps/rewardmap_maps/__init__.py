"""Questions about transit maps for verifiers."""

from rewardmap_maps.taskset import MapTaskset

__all__ = ["MapTaskset"]
