"""Environment variables of a CPU run, each with its reason.

The user sets ``VERL_PLATFORM=cpu``. The others are defaults: ``set_defaults`` writes them to
``os.environ`` during ``import verl``, before Ray starts its processes, which inherit the
environment. A value that the user has set takes precedence.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from rewardmap_verl import usage_statistics

SWITCH = "VERL_PLATFORM"

_DEFAULTS: dict[str, str] = {
    # verl calls get_platform() after loading its plugins, so it accepts a name that a plugin
    # registers. (verl 0.9.1, plugin/platform/platform_manager.py)
    SWITCH: "cpu",
    # verl registers its FSDP engines for "cuda" and "npu" only, and lets this variable override the
    # platform's name. The engines are device-agnostic. (verl 0.9.1, workers/engine/base.py)
    "VERL_ENGINE_DEVICE": "cuda",
    # vLLM compiles its sampler and its warm-up even with enforce_eager: 40 s instead of 2 s at
    # start-up for a tiny model. (vLLM 0.24.0)
    "TORCHDYNAMO_DISABLE": "1",
    # GiB of key-value cache; by default vLLM takes a large share of the host's memory.
    "VLLM_CPU_KVCACHE_SPACE": "1",
    # vLLM would pin its threads to cores that the actor uses as well.
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    # Runs vLLM's engine inside the calling process in offline inference (rewardmap evaluate).
    # verl's asynchronous server (0.9.1) starts a process for it anyway.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    # The actor computes while vLLM waits, and the other way round, so each may use two threads: a
    # step takes 8.1 s instead of 9.4 s on two cores. Threads that wait must sleep. By default they
    # spin, which slows vLLM's processes down, and a step takes 9.4 s again.
    "OMP_NUM_THREADS": "2",
    "OMP_WAIT_POLICY": "PASSIVE",
    # TransferQueue asks for eight threads and warns at every call if there are fewer cores.
    "TQ_NUM_THREADS": "1",
    # Ray empties CUDA_VISIBLE_DEVICES in actors without a GPU, and warns that it will stop that.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Ray prestarts a worker per core. They lack the run's runtime environment, so verl's actors
    # cannot use them. (Ray 2.60)
    "RAY_prestart_worker_first_driver": "0",
    "RAY_enable_worker_prestart": "0",
    **usage_statistics.OFF,
}


def cpu_is_selected(environ: MutableMapping[str, str] | None = None) -> bool:
    """Return whether ``VERL_PLATFORM`` is ``cpu``, in upper or lower case."""
    values = os.environ if environ is None else environ
    return values.get(SWITCH, "").strip().lower() == "cpu"


def bytecode_folder() -> Path:
    """Return the folder for bytecode if the user forbids it next to the sources.

    It is below the user's cache folder, so all processes and runs of a user share it.
    """
    cache = os.environ.get("XDG_CACHE_HOME", "")
    home = Path(cache) if Path(cache).is_absolute() else Path.home() / ".cache"
    return home / "rewardmap-verl" / "bytecode"


def make_private(folder: Path) -> bool:
    """Create a folder that only this user can read and write; Python runs the code in it.

    Returns:
        False if it cannot be created, is a link, or belongs to another user.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            return False
        folder.chmod(0o700)
    except OSError:
        return False
    return True


def cpu_environment(environ: MutableMapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables that a CPU run needs and that ``environ`` does not set.

    With ``PYTHONDONTWRITEBYTECODE`` set, each of about ten processes compiles torch, vLLM and verl
    from source: 22 s instead of 7 s for verl's trainer imports alone. In that case the result
    enables bytecode in a separate folder: ``PYTHONPYCACHEPREFIX`` is its path, and
    ``PYTHONDONTWRITEBYTECODE`` is empty, which Python reads as unset.

    Args:
        environ: Environment to complete; ``os.environ`` by default.

    Returns:
        Variables to change, by name.
    """
    values = os.environ if environ is None else environ
    missing = {name: value for name, value in _DEFAULTS.items() if name not in values}
    if values.get("PYTHONDONTWRITEBYTECODE"):
        missing |= bytecode_settings(values)
    return missing


def bytecode_settings(values: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that let Python write bytecode to a separate folder.

    Returns:
        Nothing if the user names no folder and the default one is not safe to use.
    """
    allowed = {"PYTHONDONTWRITEBYTECODE": ""}
    if values.get("PYTHONPYCACHEPREFIX"):
        return allowed
    folder = bytecode_folder()
    return {**allowed, "PYTHONPYCACHEPREFIX": str(folder)} if make_private(folder) else {}


def set_defaults() -> None:
    """Add ``cpu_environment`` to ``os.environ``, for this process and its children.

    This interpreter has already read its bytecode settings, so they are set on ``sys`` as well, for
    the imports that follow.
    """
    os.environ.update(cpu_environment())
    prefix = os.environ.get("PYTHONPYCACHEPREFIX")
    if prefix and not sys.pycache_prefix:
        sys.pycache_prefix = prefix
        sys.dont_write_bytecode = False
