"""The environment variables of a run on the CPU, each with its reason.

The user sets one of them, ``VERL_PLATFORM=cpu``. The others are defaults: :func:`set_defaults`
puts them into ``os.environ`` while ``import verl`` runs, which is before Ray starts its
processes, and Ray's processes inherit the environment of the one that started them. A value
that the user has set stays.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

SWITCH = "VERL_PLATFORM"

_DEFAULTS: dict[str, str] = {
    # The switch itself. verl calls get_platform() only after its plugins are loaded, so a name
    # that a plugin registers is accepted. (verl 0.9.1, plugin/platform/platform_manager.py)
    SWITCH: "cpu",
    # verl registers its FSDP engines for "cuda" and "npu" only and takes this variable in place of
    # the platform's own name. The engines are device-agnostic. (verl 0.9.1, workers/engine/base.py)
    "VERL_ENGINE_DEVICE": "cuda",
    # vLLM compiles its sampler and its warm-up even with enforce_eager: 40 s against 2 s at
    # start-up for a model of this size. (vLLM 0.24.0)
    "TORCHDYNAMO_DISABLE": "1",
    # GiB of key-value cache; vLLM takes a large share of the host's memory otherwise.
    "VLLM_CPU_KVCACHE_SPACE": "1",
    # vLLM would pin its threads to cores that it picks by NUMA node; the actor runs there as well.
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    # verl asks Ray for it in each of its processes. vLLM reads it while it is imported, which
    # happens before Ray is there (prefork/server.py), so it is set from the start.
    "VLLM_LOGGING_LEVEL": "WARN",
    # Asks vLLM for its engine inside the calling process. verl's asynchronous server (0.9.1) starts
    # a process for it all the same; vLLM's own offline use, as in evaluation, has one less.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    # Several processes share two cores; one thread each is faster than oversubscription. Two for
    # the worker of actor and reference model, for which all others wait, brought nothing.
    "OMP_NUM_THREADS": "1",
    # TransferQueue asks for eight threads and warns at every call when there are fewer cores.
    "TQ_NUM_THREADS": "1",
    # Ray empties CUDA_VISIBLE_DEVICES in actors without a GPU and warns that it will stop doing so.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Ray starts a worker per core ahead of time. They lack the run's environment, so that verl's
    # processes cannot take their place: they would only be in the way. (Ray 2.60)
    "RAY_prestart_worker_first_driver": "0",
    "RAY_enable_worker_prestart": "0",
    # A training run on one machine should not report to anybody.
    "RAY_USAGE_STATS_ENABLED": "0",
    "VLLM_NO_USAGE_STATS": "1",
}


def cpu_is_selected(environ: MutableMapping[str, str] | None = None) -> bool:
    """Whether ``VERL_PLATFORM`` (in any case) names the CPU."""
    values = os.environ if environ is None else environ
    return values.get(SWITCH, "").strip().lower() == "cpu"


def bytecode_folder() -> Path:
    """Where compiled modules go when the user forbids them beside the sources.

    A folder of the current user under the system's temporary folder, the same for every run, so
    that the second process of a run profits from the first.
    """
    return Path(tempfile.gettempdir()) / f"rewardmap-verl-bytecode-{os.getuid()}"


def cpu_environment(environ: MutableMapping[str, str] | None = None) -> dict[str, str]:
    """The variables that a CPU run needs and that ``environ`` does not set yet.

    With ``PYTHONDONTWRITEBYTECODE`` set, each of the eight or so processes compiles torch, vLLM
    and verl from source: 22 s against 7 s for verl's trainer imports alone. So in that case the
    result asks for bytecode in a temporary folder: ``PYTHONPYCACHEPREFIX`` names it and an empty
    ``PYTHONDONTWRITEBYTECODE`` (empty means unset to Python) allows it.

    Args:
        environ: the environment to complete; ``os.environ`` when left out.

    Returns:
        Name to value, only for what must change.
    """
    values = os.environ if environ is None else environ
    missing = {name: value for name, value in _DEFAULTS.items() if name not in values}
    if values.get("PYTHONDONTWRITEBYTECODE"):
        missing["PYTHONDONTWRITEBYTECODE"] = ""
        if not values.get("PYTHONPYCACHEPREFIX"):
            missing["PYTHONPYCACHEPREFIX"] = str(bytecode_folder())
    return missing


def set_defaults() -> None:
    """Complete ``os.environ`` with :func:`cpu_environment`, for this process and its children.

    This interpreter has read its bytecode settings already, so those are set on ``sys`` as well;
    that speeds up what it imports from here on.
    """
    os.environ.update(cpu_environment())
    prefix = os.environ.get("PYTHONPYCACHEPREFIX")
    if prefix and not sys.pycache_prefix:
        sys.pycache_prefix = prefix
        sys.dont_write_bytecode = False
