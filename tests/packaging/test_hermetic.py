"""The tests pass whatever the machine went through before."""

from __future__ import annotations

from pathlib import Path

from tests.hostile import run_hostile

TESTS = (
    "tests/checkpoints/test_retention.py",
    "tests/preflight/test_recipes.py::test_preflight_reports_nothing",
    "tests/packaging/test_doctor.py",
)


def test_tests_pass_in_a_hostile_environment(tmp_path: Path) -> None:
    """A sample; ``python tests/hostile.py`` runs any."""
    result = run_hostile(TESTS, tmp_path)
    assert result.returncode == 0, result.stdout[-4000:]
    assert " passed" in result.stdout
