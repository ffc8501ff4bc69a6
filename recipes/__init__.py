"""The YAML of the recipes, which Hydra finds as ``+recipe=…``; installed as a part of the package."""
