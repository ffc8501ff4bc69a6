"""verl, Ray and vLLM on machines without accelerator."""
