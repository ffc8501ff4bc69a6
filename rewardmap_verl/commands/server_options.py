"""Options of ``rewardmap evaluate`` for a model behind a server."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from rewardmap_verl.errors import ConfigError
from rewardmap_verl.evaluation.endpoint import EndpointOptions

__all__ = ["ServerOptions"]


class ToolRole(str, Enum):
    """Who sends the answers of a tool."""

    TOOL = "tool"
    USER = "user"


@dataclass(frozen=True)
class ServerOptions:
    """Options of an OpenAI-compatible server."""

    PANEL: ClassVar[str] = "Asking a server"

    endpoint: Annotated[
        str | None,
        typer.Option(
            help="Base URL of an OpenAI-compatible server, such as http://localhost:8000/v1."
        ),
    ] = None
    model: Annotated[str | None, typer.Option(help="Name of the model on that server.")] = None
    api_key_env: Annotated[str, typer.Option(help="Environment variable with the key.")] = (
        "OPENAI_API_KEY"
    )
    concurrency: Annotated[int, typer.Option(min=1, help="Requests at a time.")] = 16
    retries: Annotated[
        int,
        typer.Option(
            min=0, help="Repetitions of a request after 429, 5xx, a timeout or a lost connection."
        ),
    ] = 8
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for a request.")] = 600.0
    max_pixels: Annotated[
        int | None,
        typer.Option(min=3136, help="Reduce maps to so many pixels; default: as prepared."),
    ] = None
    tool_role: Annotated[
        ToolRole,
        typer.Option(
            help="Role of messages with crops: tool, as in training (vLLM, SGLang), or user."
        ),
    ] = ToolRole.TOOL

    def source_and_data(self, source: str, data: Path | None) -> tuple[str, Path]:
        """Return the source of answers and the prepared folder that the arguments name.

        Raises:
            ConfigError: --endpoint and --model do not come together, or an argument is missing or
                too much.
        """
        if self.endpoint is None and self.model is None:
            if data is None:
                hint = "Give a source and a folder: rewardmap evaluate SOURCE DATA."
                raise ConfigError("DATA", found="nothing", hint=hint)
            return source, data
        if self.endpoint is None or self.model is None:
            raise ConfigError("--endpoint", hint="--endpoint and --model need each other.")
        if data is not None:
            hint = "With --endpoint, the prepared folder is the only argument."
            raise ConfigError("--endpoint", found=f"{source} {data}", hint=hint)
        if not self.endpoint.startswith(("http://", "https://")):
            hint = "Give a URL, such as http://localhost:8000/v1."
            raise ConfigError("--endpoint", found=self.endpoint, hint=hint)
        return f"{self.endpoint}#{self.model}", Path(source)

    def options(self) -> EndpointOptions:
        """Return how the server is asked."""
        return EndpointOptions(
            self.api_key_env,
            self.concurrency,
            self.retries,
            self.timeout,
            self.max_pixels,
            self.tool_role.value,
        )
