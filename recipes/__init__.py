"""The YAML of the recipes; installed as ``rewardmap_verl.recipes``, found by Hydra as ``+recipe=rewardmap``."""
