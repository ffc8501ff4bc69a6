"""Question generation: ten types (six from the papers), each with gold answer and annotation."""
