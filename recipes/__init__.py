"""The YAML of the recipes, found by Hydra as ``+recipe=…``; installed inside the package."""
