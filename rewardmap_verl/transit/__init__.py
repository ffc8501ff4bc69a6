"""Transit networks: names, stops and lines, reading them, planning routes, map difficulty."""
