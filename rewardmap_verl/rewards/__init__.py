"""The reward: read an answer, score its parts, weight them."""
