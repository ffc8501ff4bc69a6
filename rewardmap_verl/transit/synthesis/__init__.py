"""The parts of the map generator: routes over a grid, where trains call, and invented names."""
