"""A small-scale study of the paper's claims: training methods compared by a fixed protocol."""
