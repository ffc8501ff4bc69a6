"""Wait until a Ray cluster has all its nodes: ``python -m rewardmap_verl.preflight.wait_for_nodes 4 600``.

verl asks Ray for its workers at once and fails, or waits without a word, while nodes are missing.
"""

from __future__ import annotations

import sys
import time

__all__ = ["wait_for_nodes"]


def wait_for_nodes(wanted: int, seconds: float, poll: float = 1.0) -> int:
    """Wait for the nodes of the cluster that ``RAY_ADDRESS`` names.

    Args:
        wanted: How many there will be.
        seconds: How long to wait at most.
        poll: Seconds between two looks.

    Returns:
        How many are there.

    Raises:
        TimeoutError: Some are missing after ``seconds``.
    """
    import ray

    deadline = time.monotonic() + seconds
    while True:
        try:
            ray.init(address="auto", log_to_driver=False, logging_level="ERROR")
            break
        except ConnectionError:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no Ray cluster answers after {seconds:g} s") from None
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
