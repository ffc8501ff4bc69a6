"""Image references: a map travels as its path, and each process decodes it once."""
