"""Questions about a transit map: ten types, six of the papers, with gold answers and steps."""
