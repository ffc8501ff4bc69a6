"""Training with two vLLM engines: all answers about a map come from one of them."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import pytest

pytestmark = [pytest.mark.end_to_end, pytest.mark.opt_in, pytest.mark.timeout(1800)]

STEPS, ANSWERS = 2, 16

# The router itself, with a note of what it decides.
NOTING = """
import json
from pathlib import Path

from rewardmap_verl.verl_plugin.map_router import MapRouter, map_of


class NotingRouter(MapRouter):
    def acquire_server(self, request_id, image_data=None):
        server, handle = super().acquire_server(request_id, image_data)
        with Path(__file__).with_suffix(".jsonl").open("a") as notes:
            note = {"map": str(map_of(image_data)), "server": server}
            notes.write(json.dumps(note) + chr(10))
        return server, handle
"""


@pytest.fixture(scope="module")
def notes(stack: Any, small: Any) -> list[dict[str, str]]:
    """Map and engine of every answer, in the order in which they were asked for."""
    (stack.folder / "noting.py").write_text(NOTING)
    router = stack.folder / "router.yaml"
    router.write_text("router_class: noting.NotingRouter\nmax_lead: 32\n")
    done = stack.train(
        *small(str(stack.folder / "run"), STEPS),
        *("trainer.n_gpus_per_node=2", "trainer.save_freq=-1"),
        f"actor_rollout_ref.rollout.router_config_path={router}",
        f"+ray_kwargs.ray_init.runtime_env.env_vars.PYTHONPATH={stack.folder}",
        timeout=1200,
    )
    assert done.code == 0, done.output[-6000:]
    assert sorted(done.steps) == [1, 2]
    lines = (stack.folder / "noting.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_every_map_has_one_engine_in_a_step(notes: list[dict[str, str]]) -> None:
    assert len(notes) == STEPS * ANSWERS
    for step in range(STEPS):
        servers = defaultdict(set)
        for note in notes[step * ANSWERS : (step + 1) * ANSWERS]:
            servers[note["map"]].add(note["server"])
        assert all(len(found) == 1 for found in servers.values()), servers


def test_both_engines_answer(notes: list[dict[str, str]]) -> None:
    assert len({note["server"] for note in notes}) == 2
