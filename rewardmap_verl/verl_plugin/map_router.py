"""Router that sends all prompts about one map to one vLLM engine.

verl's router gives a request to the engine with the fewest requests, so the answers of a group, and
the groups of a map, meet every engine. Each engine then decodes, processes and prefills every map:
four times per step with four engines. With ``MapRouter`` it happens once per map and step.

verl creates the router from the file at ``actor_rollout_ref.rollout.router_config_path``, which the
recipe sets where a run has several engines (``router_path.py``).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from cachetools import LRUCache
from pydantic import BaseModel, ConfigDict, Field
from verl.workers.rollout.router import DEFAULT_ROUTING_CACHE_SIZE, GlobalRequestLoadBalancer

from rewardmap_verl.config_blocks import read_block
from rewardmap_verl.verl_plugin.image_references.prepared_image import PreparedImage

__all__ = ["MapRouter", "RouterSettings"]


class RouterSettings(BaseModel):
    """The file ``recipes/map_router.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    router_class: str
    """Class that verl creates."""
    max_lead: int = Field(default=32, ge=1)
    """Running requests by which the engine of a map may exceed the least busy one. Beyond it, the
    map moves to that engine, so that no engine waits while one map has most of the prompts."""


class MapRouter(GlobalRequestLoadBalancer):
    """verl's load balancer, with one engine per map.

    A map gets the least busy engine and keeps it as long as any request is running, which in
    training is one step: vLLM's cache is cleared with every weight update. Later turns of a
    trajectory return to its engine, as in verl. Prompts without a prepared map are balanced as in
    verl.

    Args:
        servers: Engines by address.
        config: Content of the router's file, a ``RouterSettings``.
    """

    def __init__(self, servers: dict[str, Any], config: Mapping[str, Any]) -> None:
        super().__init__(servers)
        self._max_lead = read_block(RouterSettings, config, "map_router").max_lead
        self._server_of_map: LRUCache[Hashable, str] = LRUCache(DEFAULT_ROUTING_CACHE_SIZE)

    def require_acquire_fields(self) -> list[str]:
        """Return what a request is routed by: its images, which travel as paths."""
        return ["image_data"]

    def acquire_server(
        self, request_id: str, image_data: Sequence[Any] | None = None
    ) -> tuple[str, Any]:
        """Return address and handle of the engine for a request.

        Raises:
            RuntimeError: There is no engine.
        """
        key = map_of(image_data)
        if key is not None and self._servers and request_id not in self._request_id_to_server:
            self._request_id_to_server[request_id] = self._server_for(key)
        server: tuple[str, Any] = super().acquire_server(request_id)
        return server

    def clear_sticky_cache(self) -> dict[str, Any]:
        """Forget the engines of maps and trajectories, and return verl's diagnostics."""
        self._server_of_map.clear()
        diagnostics: dict[str, Any] = super().clear_sticky_cache()
        return diagnostics

    def _server_for(self, key: Hashable) -> str:
        """Return the engine of a map, a new one if it has none or that one is too busy."""
        running = self._inflight_requests
        if not self.get_total_inflight():
            self._server_of_map.clear()
        server = self._server_of_map.get(key)
        least = min(running, key=running.__getitem__)
        if (
            server is None
            or server not in running
            or running[server] - running[least] >= self._max_lead
        ):
            server = self._server_of_map[key] = least
        return server


def map_of(images: Sequence[Any] | None) -> Hashable | None:
    """Return the identity of a prompt's first image; ``None`` unless it is a prepared map."""
    first = images[0] if images else None
    return first.identity() if isinstance(first, PreparedImage) else None
