"""The embedded model: architecture, initialization, vision pretraining and supervised start."""
