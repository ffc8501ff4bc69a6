"""Transit networks: names, stops, lines, reading, route planning and map difficulty."""
