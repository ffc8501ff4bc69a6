"""What connects the package to verl, Hydra, Ray and vLLM."""
