"""The paper's claim in small: a comparison of training methods, written down before it runs."""
