"""No file makes a reader fail with anything but an error that says what to fix.

By default each reader sees a fixed set of damaged files. For a long run with new ones:
``REWARDMAP_FUZZ_EXAMPLES=500 make test ARGS=tests/security/test_fuzz_readers.py`` reads 500 times
100 files per reader. The seed of a failure is printed; add it to ``SEEDS``. ``fuzz-record.md``
lists the long runs.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rewardmap_verl.errors import ConfigError, DataError
from tests.security.fuzz_targets import TARGETS, Target, damaged

EXAMPLES = int(os.environ.get("REWARDMAP_FUZZ_EXAMPLES", "0"))
BATCH = 100 if EXAMPLES else 1
"""Files per example of hypothesis, whose own work takes longer than most readers."""

SEEDS: tuple[tuple[str, int], ...] = (
    ("GTFS feed", 1243456),
    ("answer log", 2458277657130),
    ("checkpoint", 2619),
    ("checkpoint", 2213),
    ("checkpoint", 846),
    ("checkpoint", 130008),
    ("record of a run", 13408),
    ("reward settings", 211),
    ("rollout dump", 41669),
    ("rollout dump as answers", 623),
    ("weights", 211),
    ("parquet", 189374),
    ("parquet", 1000002181),  # pyarrow aborted the process
    ("parquet", 1000006616),
    ("record of a run", 107),
    ("rollout dump", 532),
    ("reward settings", 5548546),
    ("VLMEvalKit json", 1000010),
    ("model configuration", 1000001),
    ("model configuration", 1000223),
    ("adapter settings", 1000079),
    ("GTFS feed", 3777199746),  # an entry without a name
)
"""Inputs that once failed: target and seed."""


def read_damaged(target: Target, seed: int, folder: Path) -> None:
    """Read one damaged file; errors of the package are the expected outcome."""
    path = folder / target.name
    path.write_bytes(damaged(target, seed))
    try:
        target.read(path)
    except (DataError, ConfigError) as error:
        assert "\n" not in str(error).strip() or len(str(error)) < 4000
        assert str(error)
    except Exception as error:
        raise AssertionError(f"the reader failed; the seed is {seed}") from error


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_valid_file_can_be_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / TARGETS[name].name
    path.write_bytes(TARGETS[name].valid())
    try:
        TARGETS[name].read(path)
    except (DataError, ConfigError) as error:
        pytest.fail(f"the target's own file is refused, so nothing behind it is tested: {error}")


@pytest.mark.timeout(0 if EXAMPLES else 120)
@pytest.mark.parametrize("name", sorted(TARGETS))
def test_damaged_files_are_read_or_refused(name: str) -> None:
    @settings(
        max_examples=EXAMPLES or 60,
        derandomize=not EXAMPLES,
        deadline=None if EXAMPLES else 30_000,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @example(seed=0)
    @given(seed=st.integers(0, 2**63))
    def run(seed: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for number in range(BATCH):
                read_damaged(TARGETS[name], BATCH * seed + number, Path(folder))

    run()


def test_inputs_that_once_failed(tmp_path: Path) -> None:
    for name, seed in SEEDS:
        folder = tmp_path / f"{name} {seed}"
        folder.mkdir()
        read_damaged(TARGETS[name], seed, folder)
