"""The embedded model: build, initialization, pretraining and cold start."""
