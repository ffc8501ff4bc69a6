"""Checks of a run's configuration and of the installation, before Ray starts."""
