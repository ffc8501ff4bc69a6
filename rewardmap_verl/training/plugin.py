"""What verl loads in every process of a run, at the end of ``import verl`` (entry point ``verl.plugins``).

verl reports a plugin that fails only at debug level, so this module imports nothing of verl at its top and
reports its own failures. It must stay cheap and import only what it registers: a module that imports verl
while verl is still being imported fails in ways that nobody sees.
"""

from __future__ import annotations
