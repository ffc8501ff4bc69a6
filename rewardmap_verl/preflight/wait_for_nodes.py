"""Wait until a Ray cluster is complete.

Usage: ``python -m rewardmap_verl.preflight.wait_for_nodes 4 600``, for 4 nodes and 600 seconds.

verl requests its workers from Ray at once. While nodes are missing it fails, or waits without a
message.
"""

from __future__ import annotations

import sys
import time

__all__ = ["wait_for_nodes"]


def wait_for_nodes(wanted: int, seconds: float, poll: float = 1.0) -> int:
    """Wait for the nodes of the cluster at ``RAY_ADDRESS``.

    Args:
        wanted: Number of nodes to wait for.
        seconds: Longest time to wait.
        poll: Seconds between two checks.

    Returns:
        The number of nodes present.

    Raises:
        TimeoutError: Nodes are still missing after ``seconds``.
    """
    import ray

    deadline = time.monotonic() + seconds
    while True:
        try:
            ray.init(address="auto", log_to_driver=False, logging_level="ERROR")
            break
        except ConnectionError:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no Ray cluster responds after {seconds:g} s") from None
            time.sleep(poll)
    try:
        while (present := sum(node["Alive"] for node in ray.nodes())) < wanted:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{present} of {wanted} nodes joined within {seconds:g} s")
            time.sleep(poll)
        return present
    finally:
        ray.shutdown()


if __name__ == "__main__":
    try:
        wait_for_nodes(int(sys.argv[1]), float(sys.argv[2]))
    except TimeoutError as error:
        raise SystemExit(f"rewardmap: {error}") from None
