"""Order the lines on shared track so that they cross as rarely as possible.

Two lines on shared track diverge at both of its ends. The line that turns right there is placed on
the right. If the two ends disagree, the lines must cross once and the lower line number decides.
Each decision holds along the whole shared track, so lanes never swap at bends.
"""

from __future__ import annotations

from itertools import pairwise

from rewardmap_verl.transit.placement import GridEdge, GridPoint, PlacedNetwork, grid_edge

Adjacency = dict[GridPoint, tuple[GridPoint, ...]]
"""For one line, the adjacent nodes of each node."""


def order_lanes(placed: PlacedNetwork) -> dict[GridEdge, tuple[int, ...]]:
    """Return the lines on each piece of track from left to right, seen from its smaller end."""
    users: dict[GridEdge, list[int]] = {}
    forward: list[set[GridEdge]] = [set() for _ in placed.courses]
    for line, paths in enumerate(placed.courses):
        for a, b in (step for path in paths for step in pairwise(path)):
            lines = users.setdefault(grid_edge(a, b), [])
            if line not in lines:
                lines.append(line)
            if a < b:
                forward[line].add((a, b))
    adjacency = [_adjacency(paths) for paths in placed.courses]
    return {edge: _sorted_lanes(edge, lines, adjacency, forward) for edge, lines in users.items()}


def _adjacency(paths: tuple[tuple[GridPoint, ...], ...]) -> Adjacency:
    found: dict[GridPoint, dict[GridPoint, None]] = {}
    for a, b in (step for path in paths for step in pairwise(path)):
        found.setdefault(a, {})[b] = None
        found.setdefault(b, {})[a] = None
    return {node: tuple(others) for node, others in found.items()}


def _sorted_lanes(
    edge: GridEdge, lines: list[int], adjacency: list[Adjacency], forward: list[set[GridEdge]]
) -> tuple[int, ...]:
    if len(lines) == 1:
        return tuple(lines)
    a, b = edge
    rank = dict.fromkeys(lines, 0)
    for i, p in enumerate(lines):
        for q in lines[i + 1 :]:
            right = _divergence(a, b, adjacency[p], adjacency[q]) - _divergence(
                b, a, adjacency[p], adjacency[q]
            )
            if not right:
                right = -1 if edge in forward[p] else 1
            rank[p if right > 0 else q] += 1
    return tuple(sorted(lines, key=lambda line: (rank[line], line)))


def _divergence(a: GridPoint, b: GridPoint, p: Adjacency, q: Adjacency) -> int:
    """Return 1 if ``p`` leaves to the right of ``q`` beyond ``b``, -1 if left, 0 if neither."""
    start = grid_edge(a, b)
    while True:
        ahead_p = [node for node in p[b] if node != a]
        ahead_q = [node for node in q[b] if node != a]
        shared = [node for node in ahead_p if node in ahead_q]
        if not shared:
            turn_p, turn_q = _turn(a, b, ahead_p), _turn(a, b, ahead_q)
            return (turn_p > turn_q) - (turn_p < turn_q)
        a, b = b, shared[0]
        if grid_edge(a, b) == start:
            return 0


def _turn(a: GridPoint, b: GridPoint, ahead: list[GridPoint]) -> float:
    """Return how far the track turns right at ``b``: the mean over its continuations, 0 at its end.

    A sine-like measure from -2 to 2 that increases with the angle and needs no trigonometry.
    """
    turns = []
    for c in ahead:
        ux, uy, vx, vy = b[0] - a[0], b[1] - a[1], c[0] - b[0], c[1] - b[1]
        size = ((ux * ux + uy * uy) * (vx * vx + vy * vy)) ** 0.5
        sine, cosine = (ux * vy - uy * vx) / size, (ux * vx + uy * vy) / size
        turns.append(sine if cosine >= 0 else (2 - sine if sine > 0 else -2 - sine))
    return sum(turns) / len(turns) if turns else 0.0
