"""RewardMap on verl: difficulty-aware rewards and a staged curriculum for reading transit maps.

The package follows RewardMap (arXiv 2510.02240) and the benchmark ReasonMap (arXiv 2505.18675).
Its rooms import one way: transit, questions, rewards, preparation, training, commands.
"""
