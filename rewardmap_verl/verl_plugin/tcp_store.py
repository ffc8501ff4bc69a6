"""Listen on the loopback interface only where torch.distributed's address is a loopback address.

Upstream: the server of a ``TCPStore`` listens on all interfaces, whatever its host name is. verl's
workers and vLLM's engine create one each for their process groups. A run on one machine uses
loopback addresses (``rewardmap_verl.verl_plugin.single_machine``); others are left to torch.
"""

from __future__ import annotations

import functools
import os
import socket
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from rewardmap_verl.patching import Patch

__all__ = ["PATCH", "is_loopback"]


def is_loopback(host: str) -> bool:
    """Return whether a host is ``localhost`` or a loopback address."""
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def uses_agent_store() -> bool:
    """Return whether torchrun provides the store."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def listen_on_loopback(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap torch's function that creates the store of a rendezvous."""

    @functools.wraps(original)
    def create_store(
        hostname: str, port: int, rank: int, world_size: int, timeout: Any, use_libuv: bool = True
    ) -> Any:
        from torch.distributed import TCPStore

        if rank != 0 or uses_agent_store() or not is_loopback(hostname):
            return original(hostname, port, rank, world_size, timeout, use_libuv)
        server = socket.create_server((hostname, port))
        return TCPStore(
            host_name=hostname,
            port=server.getsockname()[1],
            world_size=world_size,
            is_master=True,
            timeout=timeout,
            multi_tenant=True,
            use_libuv=use_libuv,
            master_listen_fd=server.detach(),
        )

    return create_store


PATCH = Patch(
    target="torch.distributed.rendezvous:_create_c10d_store",
    signature="(hostname, port, rank, world_size, timeout, use_libuv=True)",
    replacement=listen_on_loopback,
    reason="The TCPStore of a process group listens on all interfaces.",
    upstream="torch: bind the server of a TCPStore to its host name.",
    seen_in="torch 2.11.0",
)
