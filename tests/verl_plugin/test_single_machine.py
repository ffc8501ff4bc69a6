"""A run on one machine starts its own Ray instance on the loopback interface."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from rewardmap_verl.preflight.checks.cluster import check_cluster
from rewardmap_verl.usage_statistics import OFF, disable_usage_statistics
from rewardmap_verl.verl_plugin import single_machine
from rewardmap_verl.verl_plugin.single_machine import SingleMachineCallback, starts_own_ray

OWN = OmegaConf.create(
    {
        "ray_kwargs": {"ray_init": {"address": "local", "num_cpus": 8}},
        "trainer": {"nnodes": 1},
    }
)
JOINS = OmegaConf.create({"ray_kwargs": {"ray_init": {"address": None}}})

PROGRAM = """
import json, os, sys
import ray
from omegaconf import OmegaConf
from rewardmap_verl.verl_plugin.single_machine import SingleMachineCallback

config = OmegaConf.create(json.loads(sys.argv[1]))
SingleMachineCallback().on_run_start(config)
print(ray._private.services.get_node_ip_address(), os.environ.get("REWARDMAP_RUN", "no mark"))
"""


def node_address(config: object) -> list[str]:
    """Address that Ray gives the node, and the mark of the run, in a new process."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(config)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout.split(maxsplit=1)


def test_ray_uses_the_loopback_address() -> None:
    address, mark = node_address({"ray_kwargs": {"ray_init": {"address": "local"}}})
    assert address == "127.0.0.1"
    assert len(mark.strip()) == 32


def test_a_run_that_joins_a_cluster_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single_machine, "bind_to_loopback", lambda: pytest.fail("changed"))
    monkeypatch.setattr(single_machine, "start_reaper", lambda: pytest.fail("started"))
    for config in (JOINS, OmegaConf.create({}), OmegaConf.create({"ray_kwargs": None})):
        assert not starts_own_ray(config)
        SingleMachineCallback().on_run_start(config)


@pytest.mark.parametrize("address", ["10.0.0.1:6379", "auto", ""])
def test_traces_of_other_clusters_do_not_matter(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray/ray_current_cluster").write_text("10.0.0.2:6379")
    assert list(check_cluster(OWN)) == []


def test_several_nodes_need_a_cluster() -> None:
    several = OmegaConf.merge(OWN, {"trainer": {"nnodes": 2}})
    (diagnostic,) = check_cluster(several)
    assert diagnostic.stops
    assert "wait for 2" in diagnostic.hint
    assert "multi_node" in diagnostic.hint


def test_usage_statistics_are_off_unless_the_user_turns_them_on() -> None:
    environ = {"VLLM_NO_USAGE_STATS": "0"}
    disable_usage_statistics(environ)
    assert environ == {**OFF, "VLLM_NO_USAGE_STATS": "0"}


@pytest.mark.parametrize("platform", ["", "cpu"])
def test_usage_statistics_are_off_on_every_platform(platform: str) -> None:
    code = f"import os, verl; print(*(os.environ.get(name) for name in {tuple(OFF)}))"
    environ = {name: value for name, value in os.environ.items() if name not in OFF}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**environ, "VERL_PLATFORM": platform},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.split()[-2:] == list(OFF.values()), done.stderr[-2000:]
