"""A network drawn as a map that a person can read."""
