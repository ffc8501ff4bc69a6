"""Several vLLM engines on one machine, each with a share of every batch.

Each engine has a separate process and separate GPUs. For a model that fits one GPU this is what
vLLM recommends for offline inference; its built-in data parallelism synchronizes the engines after
every token, which only mixtures of experts need.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from itertools import pairwise

from rewardmap_verl.errors import ConfigError
from rewardmap_verl.evaluation.answer_log import LoggedAnswer
from rewardmap_verl.evaluation.inference import Engine, Generation, VllmEngine
from rewardmap_verl.evaluation.questions import EvalQuestion, EvalSet

__all__ = ["DataParallelEngine", "engine_devices"]


class DataParallelEngine:
    """``generation.data_parallel_size`` engines, which start with the first batch.

    Args:
        model: Folder or name of the model.
        generation: Settings of every engine.
        questions: The questions that the engines are sized for.
        kind: Class of the engines.
        variables: Environment variables of each engine; by default those that select its GPUs.

    Raises:
        ConfigError: The machine has too few GPUs.
    """

    def __init__(
        self,
        model: str,
        generation: Generation,
        questions: EvalSet,
        kind: Callable[[str, Generation, EvalSet], Engine] = VllmEngine,
        variables: Sequence[Mapping[str, str]] | None = None,
    ) -> None:
        self._call = (kind, model, generation, questions.prompt_tokens)
        spawn = multiprocessing.get_context("spawn")
        self._processes = [
            ProcessPoolExecutor(1, spawn, _set_variables, (one,))
            for one in variables or _device_variables(generation)
        ]

    def answer(self, batch: Sequence[EvalQuestion]) -> list[LoggedAnswer]:
        """Answer a batch, in order. Each engine gets a contiguous part, hence few maps.

        Raises:
            ConfigError: An engine fails to start, rejects a prompt, or its process dies.
        """
        count = len(self._processes)
        cuts = [len(batch) * index // count for index in range(count + 1)]
        parts = [batch[start:end] for start, end in pairwise(cuts)]
        waiting = [
            process.submit(_answer, *self._call, part)
            for process, part in zip(self._processes, parts, strict=True)
            if part
        ]
        try:
            return [answer for one in waiting for answer in one.result()]
        except BrokenProcessPool:
            hint = "See evaluate.log in the output folder. The same command resumes."
            raise ConfigError("--data-parallel-size", found="an engine died", hint=hint) from None


def _device_variables(generation: Generation) -> list[Mapping[str, str]]:
    """Return the environment variables of each engine, which select its GPUs; none on a CPU."""
    import torch
    from vllm.platforms import current_platform

    engines, each = generation.data_parallel_size, generation.tensor_parallel_size
    if current_platform.is_cpu():
        return [{} for _ in range(engines)]
    variable = current_platform.device_control_env_var
    visible = os.environ.get(variable) or ",".join(map(str, range(torch.cuda.device_count())))
    return [{variable: devices} for devices in engine_devices(visible, engines, each)]


def engine_devices(visible: str, engines: int, each: int) -> list[str]:
    """Divide visible GPUs, such as ``0,1,2,3``, among engines.

    Raises:
        ConfigError: There are too few.
    """
    devices = [device for device in visible.split(",") if device]
    if len(devices) < engines * each:
        hint = f"{engines} engines × {each} (--tensor-parallel-size) need {engines * each}."
        raise ConfigError("--data-parallel-size", found=f"{len(devices)} GPUs", hint=hint)
    return [",".join(devices[each * one : each * (one + 1)]) for one in range(engines)]


def _set_variables(variables: Mapping[str, str]) -> None:
    os.environ.update(variables)


def _answer(
    kind: Callable[[str, Generation, EvalSet], Engine],
    model: str,
    generation: Generation,
    prompt_tokens: int,
    batch: Sequence[EvalQuestion],
) -> list[LoggedAnswer]:
    return _engine(kind, model, generation, prompt_tokens).answer(batch)


# A pool's process keeps nothing between two calls but the state of modules, so what an initializer
# creates would be a global as well. A loop over a pipe would not need one, but would have to carry
# errors and notice dead processes, which the pool does. The cache is filled in such processes only.
@lru_cache(maxsize=1)
def _engine(
    kind: Callable[[str, Generation, EvalSet], Engine],
    model: str,
    generation: Generation,
    prompt_tokens: int,
) -> Engine:
    """Return the engine of this process."""
    return kind(model, generation, EvalSet("", (), prompt_tokens=prompt_tokens))
