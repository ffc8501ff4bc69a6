"""Read a block of a run's configuration into a checked object; errors name the key."""

from __future__ import annotations

import difflib
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from pydantic import BaseModel, ValidationError

from rewardmap_verl.errors import ConfigError

__all__ = ["read_block"]

Model = TypeVar("Model", bound=BaseModel)


def read_block(model: type[Model], block: Any, path: str) -> Model:
    """Read and check a block of the configuration.

    Args:
        model: Pydantic model of the block.
        block: A mapping or a node of the Hydra configuration; ``None`` means all defaults.
        path: Dotted path of the block, such as ``data.curriculum``, for messages.

    Raises:
        ConfigError: A key is unknown or a value is invalid; lists every such key.
    """
    plain = OmegaConf.to_container(block, resolve=True) if OmegaConf.is_config(block) else block
    try:
        return model.model_validate({} if plain is None else plain)
    except ValidationError as failed:
        errors = [_error(model, path, detail) for detail in failed.errors()]
        raise errors[0] if len(errors) == 1 else _combined(errors) from None


def root_of(node: Any) -> DictConfig | None:
    """Return the complete configuration of a node; ``None`` for a node without a root."""
    root = node._get_root() if isinstance(node, DictConfig) else None
    return root if isinstance(root, DictConfig) and root is not node else None


def _error(model: type[BaseModel], path: str, detail: Any) -> ConfigError:
    where = path + "".join(_step(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return ConfigError(
            where, found=detail["input"], hint=f"This key is unknown.{_known(model, detail)}"
        )
    message = detail["msg"].removeprefix("Value error, ")
    return ConfigError(where, found=detail["input"], hint=message.rstrip(".") + ".")


def _step(part: str | int) -> str:
    return f"[{part}]" if isinstance(part, int) else f".{part}"


def _known(model: type[BaseModel], detail: Any) -> str:
    """Return similar and known keys for an unknown one."""
    owner = _owner(model, detail["loc"][:-1])
    if owner is None:
        return ""
    close = difflib.get_close_matches(str(detail["loc"][-1]), owner.model_fields, n=1)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    return f"{guess} Known here: {', '.join(sorted(owner.model_fields))}."


def _owner(model: type[BaseModel], loc: tuple[str | int, ...]) -> type[BaseModel] | None:
    """Return the model at a location inside ``model``; ``None`` if it is ambiguous."""
    owner = model
    for part in loc:
        if isinstance(part, int):
            continue
        field = owner.model_fields.get(part)
        inner = _inner_model(field.annotation) if field else None
        if inner is None:
            return None
        owner = inner
    return owner


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _inner_model(argument)
        if found is not None:
            return found
    return None


def _combined(errors: list[ConfigError]) -> ConfigError:
    lines = "\n".join(f"  - {error}" for error in errors)
    return ConfigError(f"{len(errors)} settings are invalid:\n{lines}")
