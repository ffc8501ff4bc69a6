"""The reward: reading an answer, scoring its parts, weighing them."""
