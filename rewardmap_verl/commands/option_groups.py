"""Option groups: dataclasses whose fields are command-line options shared by several commands."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import wraps
from typing import Annotated, Any, get_type_hints

__all__ = ["option_groups"]


def option_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Replace each dataclass parameter of a command by options, one for each field.

    Typer reads options from a function's signature. With this decorator a command declares
    ``common: CommonOptions`` once instead of repeating the dataclass's fields as parameters. A
    class variable ``PANEL`` of the dataclass is the heading of its options in the help.

    Args:
        command: A function whose dataclass parameters have fields of the form
            ``Annotated[type, typer.Option(...)]``.

    Returns:
        A function with the flat signature, which builds the dataclasses and calls ``command``.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}

    @wraps(command)
    def flat(**values: Any) -> None:
        built = {
            name: group(**{field.name: values.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        command(**values, **built)

    parameters = list(_parameters(inspect.signature(command), hints))
    flat.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return flat


def _parameters(signature: inspect.Signature, hints: dict[str, Any]) -> Iterator[inspect.Parameter]:
    """Yield the flat parameters, keyword-only, in the order of declaration."""
    for name, parameter in signature.parameters.items():
        hint = hints[name]
        if is_dataclass(hint):
            of_group = get_type_hints(hint, include_extras=True)
            panel = getattr(hint, "PANEL", None)
            for field in fields(hint):
                option = _on_panel(of_group[field.name], panel)
                yield _keyword(field.name, option, _default(field))
        else:
            yield _keyword(name, hint, parameter.default)


def _on_panel(annotation: Any, panel: str | None) -> Any:
    """Return the annotation of an option that the help shows under a heading."""
    if panel is None:
        return annotation
    option = copy(annotation.__metadata__[0])
    option.rich_help_panel = panel
    return Annotated[annotation.__origin__, option]


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, annotation=annotation, default=default)


def _default(field: Field[Any]) -> Any:
    return inspect.Parameter.empty if field.default is MISSING else field.default
