"""The wheel: what it holds, and that the recipe composes from it in any folder."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def names(wheel: Path) -> frozenset[str]:
    """Files in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return frozenset(name for name in archive.namelist() if not name.endswith("/"))


def sources(folder: str, pattern: str) -> set[str]:
    """Files of the repository, relative to it."""
    found = (REPOSITORY / folder).rglob(pattern)
    return {path.relative_to(REPOSITORY).as_posix() for path in found}


def test_wheel_has_no_generic_name_at_its_top(names: frozenset[str]) -> None:
    tops = {name.split("/")[0] for name in names}
    own = {top for top in tops if not top.endswith(".dist-info")}
    assert own == {"rewardmap_verl", "hydra_plugins"}


def test_namespace_of_hydra_plugins_stays_a_namespace(names: frozenset[str]) -> None:
    """With an __init__.py there, other Hydra plugins would disappear."""
    assert "hydra_plugins/__init__.py" not in names
    assert "hydra_plugins/rewardmap_recipes/__init__.py" in names


def test_every_module_is_in_the_wheel(names: frozenset[str]) -> None:
    hydra_root = "rewardmap_verl/verl_plugin/hydra_root/"
    modules = {
        name for name in sources("rewardmap_verl", "*.py") if not name.startswith(hydra_root)
    }
    missing = modules - names
    assert not missing, f"add their packages to options.packages in setup.cfg: {sorted(missing)}"


def test_every_recipe_is_in_the_wheel(names: frozenset[str]) -> None:
    recipes = {f"rewardmap_verl/{name}" for name in sources("recipes", "*.yaml")}
    assert recipes
    assert recipes <= names


def test_data_files_and_type_marker_are_in_the_wheel(names: frozenset[str]) -> None:
    data = {
        name
        for name in sources("rewardmap_verl", "*")
        if (REPOSITORY / name).is_file() and not name.endswith((".py", ".pyc"))
    }
    assert "rewardmap_verl/py.typed" in data
    assert data <= names, "add their endings to options.package_data in setup.cfg"


def test_entry_points(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (entry_points,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        text = archive.read(entry_points).decode()
    for line in (
        "rewardmap = rewardmap_verl.commands.main:app",
        "rewardmap = rewardmap_verl.verl_plugin.plugin",
        "rewardmap = rewardmap_verl.verl_plugin.vllm_plugin:register",
    ):
        assert line in text


def test_recipe_composes_from_the_wheel(installed_wheel) -> None:
    words = ("+recipe=rewardmap", "+recipe/rewardmap=[cpu]", "--cfg", "job")
    done = installed_wheel.run("-m", "verl.trainer.main_ppo", *words)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "adv_estimator: grpo" in done.stdout
    assert "norm_adv_by_std_in_grpo: false" in done.stdout
    assert "name: CurriculumDataset" in done.stdout
    assert "device: cpu" in done.stdout


def test_wheel_is_what_is_imported_there(installed_wheel) -> None:
    code = "import rewardmap_verl as a, rewardmap_verl.recipes as b; print(a.__file__, b.__file__)"
    done = installed_wheel.run("-c", code)
    assert done.returncode == 0, done.stderr
    assert all(path.startswith(str(installed_wheel.site)) for path in done.stdout.split())


def test_wrong_key_stops_the_wheel_before_ray(installed_wheel) -> None:
    done = installed_wheel.run(
        "-m", "verl.trainer.main_ppo", "+recipe=rewardmap", "+reward.rewardmap.alhpa=0.4"
    )
    assert done.returncode == 1
    assert "the run was stopped before it started" in done.stderr
    assert "Did you mean 'alpha'?" in done.stderr
    assert "ray init kwargs" not in done.stdout


APP = """
import hydra
@hydra.main(version_base=None, config_path=None)
def main(config):
    print("trained with", config)
main()
"""


def test_mistyped_recipe_stops_any_program_of_hydra(installed_wheel) -> None:
    (installed_wheel.elsewhere / "app.py").write_text(APP, encoding="utf-8")
    done = installed_wheel.run("app.py", "+recip=rewardmap")
    assert done.returncode == 1
    assert "Did you mean +recipe=rewardmap?" in done.stderr
    assert "trained with" not in done.stdout


def test_other_programs_of_hydra_are_left_alone(installed_wheel) -> None:
    (installed_wheel.elsewhere / "app.py").write_text(APP, encoding="utf-8")
    done = installed_wheel.run("app.py", "+project=rewards", "+name=map")
    assert done.returncode == 0, done.stderr
    assert "trained with" in done.stdout
