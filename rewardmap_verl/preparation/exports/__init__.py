"""Exports of a prepared folder in the formats of other tools."""
