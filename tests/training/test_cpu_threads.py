"""Workers of a CPU run share the cores; the user's own number counts."""

from __future__ import annotations

import os
from unittest import mock

import pytest
import torch

from rewardmap_verl.training.cpu import threads
from rewardmap_verl.training.cpu.environment import cpu_environment


@pytest.mark.parametrize(
    ("given", "workers", "expected"),
    [("4", "1", 4), ("4", "2", 2), ("4", "3", 1), ("2", "4", 1), ("4", "", 4), ("many", "1", 1)],
)
def test_workers_share(given: str, workers: str, expected: int) -> None:
    environ = {threads.VARIABLE: given, "RAY_LOCAL_WORLD_SIZE": workers}
    assert threads.of_a_worker(environ) == expected


def test_other_processes_keep_one() -> None:
    completed = cpu_environment({})
    assert completed["OMP_NUM_THREADS"] == "1"
    assert 1 <= int(completed[threads.VARIABLE]) <= threads.MOST


def test_users_number_counts() -> None:
    assert cpu_environment({"OMP_NUM_THREADS": "3"})[threads.VARIABLE] == "3"
    assert threads.VARIABLE not in cpu_environment({threads.VARIABLE: "5"})


def test_torch_uses_them() -> None:
    before = torch.get_num_threads()
    try:
        with mock.patch.dict(os.environ, {threads.VARIABLE: "3", "RAY_LOCAL_WORLD_SIZE": "1"}):
            threads.use()
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
