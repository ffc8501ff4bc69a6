"""Where Hydra looks for plugins: shows it the recipes of rewardmap-verl.

Hydra imports every module under the namespace ``hydra_plugins``, which therefore has no
``__init__.py``. The class lives in the package and is only made visible here, so that
importing this module twice, as Hydra's scan may do, yields the same class.
"""

from rewardmap_verl.verl_plugin.search_path import RewardMapSearchPath

__all__ = ["RewardMapSearchPath"]
