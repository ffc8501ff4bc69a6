"""Runtime patches: the only way in which this package replaces a name of another library.

A ``Patch`` declares what it replaces, why, and what would have to change upstream to remove
it. ``apply`` refuses to replace a target that is missing or whose signature differs from the
declared one, so an upgrade that renames or changes a target fails with a message.
``rewardmap_verl.verl_plugin.patches`` lists all patches of the package.
"""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from typing import Any

import wrapt

__all__ = ["Patch", "PatchError", "Platform", "applied_patches", "apply", "signature_of"]

logger = logging.getLogger(__name__)

_applied: dict[str, tuple[Patch, Any]] = {}
"""Registry of this process: target to patch and installed replacement."""


class PatchError(RuntimeError):
    """A patch does not fit the installed version of the library that it replaces a name of."""


class Platform(str, Enum):
    """The platforms that a patch is active on."""

    EVERY = "every"
    CPU = "cpu"


@dataclass(frozen=True)
class Patch:
    """Declaration of one runtime patch. Creating it imports and changes nothing."""

    target: str
    """``module:name`` or ``module:class.name``."""
    signature: str | None
    """Signature of the target that the patch was written for, as ``signature_of`` returns it.
    ``None`` for a target that is not callable."""
    replacement: Callable[[Any], Any]
    """Function of the original that returns what takes its place."""
    reason: str
    """Why the target has to be replaced, as one sentence."""
    upstream: str
    """What would have to change upstream for the patch to go, or the issue that asks for it."""
    seen_in: str
    """The versions in which the fault was seen."""
    platform: Platform = Platform.EVERY
    on_import: bool = False
    """Whether to wait until the process imports the target's module. For a module that loads vLLM,
    which most processes do not need."""

    @property
    def module(self) -> str:
        """The module of this package that declares the patch."""
        return self.replacement.__module__

    @property
    def name(self) -> str:
        """The target as a dotted name."""
        return self.target.replace(":", ".")


def apply(patch: Patch) -> None:
    """Replace the target of a patch in this process. Idempotent.

    Modules that import the target by name must be loaded afterwards; verl and vLLM load their
    plugins early enough for that.

    Raises:
        PatchError: The target does not exist, or has another signature than declared. With
            ``on_import``, the import of the module raises it.
    """
    module = patch.target.partition(":")[0]
    if patch.on_import and module not in sys.modules:
        wrapt.register_post_import_hook(lambda _module: apply(patch), module)
        return
    owner, name = find_owner(patch)
    current = getattr(owner, name)
    known = _applied.get(patch.target)
    if known is not None and known[1] is current:
        return
    check_signature(patch, current)
    replacement = patch.replacement(current)
    setattr(owner, name, replacement)
    _applied[patch.target] = (patch, replacement)
    logger.debug("patched %s: %s", patch.name, patch.reason)


def applied_patches() -> tuple[Patch, ...]:
    """Return the patches that were applied in this process, in that order."""
    return tuple(patch for patch, _ in _applied.values())


def find_owner(patch: Patch) -> tuple[Any, str]:
    """Return the module or class that holds the target, and the target's name in it.

    Raises:
        PatchError: There is no such target.
    """
    module, _, path = patch.target.partition(":")
    *parents, name = path.split(".")
    try:
        owner: Any = import_module(module)
        for parent in parents:
            owner = getattr(owner, parent)
        getattr(owner, name)
    except (ImportError, AttributeError) as error:
        raise PatchError(_message(patch, f"{type(error).__name__}: {error}")) from error
    return owner, name


def check_signature(patch: Patch, target: Any) -> None:
    """Check that a target has the signature that the patch was written for.

    Raises:
        PatchError: It has another one.
    """
    found = signature_of(target)
    if found != patch.signature:
        raise PatchError(_message(patch, f"its signature is {found}, not {patch.signature}"))


def signature_of(target: Any) -> str | None:
    """Return names, kinds and defaults of a callable's parameters, such as ``(a, b=None)``.

    Annotations are left out: their text depends on the Python version.

    Returns:
        ``None`` if ``target`` is not callable.
    """
    if not callable(target):
        return None
    signature = inspect.signature(target)
    empty = inspect.Parameter.empty
    parameters = [one.replace(annotation=empty) for one in signature.parameters.values()]
    return str(signature.replace(parameters=parameters, return_annotation=empty))


def _message(patch: Patch, fault: str) -> str:
    return (
        f"cannot patch {patch.name}: {fault}. The patch was written for {patch.seen_in}; install "
        f"these versions, or adapt {patch.module}."
    )
