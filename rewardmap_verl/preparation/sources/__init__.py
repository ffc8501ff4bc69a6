"""Sources of maps and networks, one module each."""
