"""Find out whether verl loaded our plugin in this process, and why not."""

from __future__ import annotations

import importlib
import os
import sys
from importlib.metadata import entry_points

__all__ = ["plugin_problem"]

MODULE = "rewardmap_verl.verl_plugin.plugin"
GROUP = "verl.plugins"
POLICY = "VERL_USE_EXTERNAL_PLUGINS"


def plugin_problem() -> str:
    """Return why the plugin is not active and how to fix it; empty if it is active."""
    try:
        importlib.import_module("verl")
    except ImportError as error:
        return f"verl cannot be imported ({error}). Install it: pip install verl==0.9.1."
    if MODULE not in sys.modules:
        return _not_loaded()
    problem = getattr(sys.modules[MODULE], "PROBLEM", "")
    return f"it failed to load ({problem})." if problem else ""


def _not_loaded() -> str:
    names = [entry.name for entry in entry_points(group=GROUP) if entry.value == MODULE]
    if not names:
        return (
            f"the installed metadata has no entry point {GROUP} for it. Reinstall the package: "
            "pip install rewardmap-verl, or uv pip install -e . in its repository."
        )
    policy = os.environ.get(POLICY, "auto").strip().lower()
    allowed = {name.strip() for name in policy.split(",")}
    if policy != "auto" and not allowed.intersection(names):
        return f"{POLICY}={policy} keeps verl from loading it. Unset it, or add {names[0]} to it."
    return _import_error()


def _import_error() -> str:
    """Import the plugin again to show the error that verl swallowed."""
    try:
        importlib.import_module(MODULE)
    except Exception as error:
        return f"it cannot be imported ({type(error).__name__}: {error})."
    finally:
        sys.modules.pop(MODULE, None)
    return "verl was imported before the package was installed. Start a new process."
