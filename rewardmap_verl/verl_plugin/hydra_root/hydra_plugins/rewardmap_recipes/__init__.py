"""Namespace module in which Hydra finds the search path plugin of rewardmap-verl.

Hydra imports every module below the namespace ``hydra_plugins``, which therefore has no
``__init__.py``. The class is defined in the package and only re-exported here, so that importing
this module twice, as Hydra's scan may do, gives the same class.
"""

from rewardmap_verl.verl_plugin.search_path import RewardMapSearchPath

__all__ = ["RewardMapSearchPath"]
