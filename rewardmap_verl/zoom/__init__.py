"""Zoom over the original map: boxes, crops at a pixel budget, and what the tool answers."""
