"""Adapters to verl: dataset, reward manager, replay buffer, agent loop, image references."""
