"""Preflight checks of a run and of the installation, before Ray starts."""
