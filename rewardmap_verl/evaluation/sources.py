"""Sources of answers for ``rewardmap evaluate``: a model, a server, saved answers, a baseline."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rewardmap_verl.errors import ConfigError
from rewardmap_verl.evaluation.answer_log import AnswerLog
from rewardmap_verl.evaluation.baselines import BASELINES, baseline_answers, frequent_answers
from rewardmap_verl.evaluation.data_parallel import DataParallelEngine
from rewardmap_verl.evaluation.endpoint import (
    Endpoint,
    EndpointOptions,
    ask_endpoint,
    endpoint_header,
    is_endpoint,
)
from rewardmap_verl.evaluation.gather import Gathered, gather
from rewardmap_verl.evaluation.inference import (
    Engine,
    Generation,
    VllmEngine,
    answer_questions,
    check_model,
    log_header,
    model_name,
)
from rewardmap_verl.evaluation.questions import EvalSet, Mask, read_questions
from rewardmap_verl.evaluation.saved import find_saved, read_saved
from rewardmap_verl.questions.types import QuestionType
from rewardmap_verl.reaper import start_reaper
from rewardmap_verl.usage_statistics import disable_usage_statistics

__all__ = ["AnswerSources", "is_model", "prepare_environment"]


def is_model(source: str) -> bool:
    """Return whether a source is a model: a folder with a ``config.json``, or a hub name.

    A folder of answers is not.
    """
    path = Path(source)
    if path.is_file() or source in BASELINES:
        return False
    if not path.is_dir():
        return True
    if (path / "config.json").is_file():
        return True
    try:
        find_saved(path)
    except ValueError:
        return True  # check_model reports what is wrong with it
    return False


def prepare_environment() -> None:
    """Prepare this process for vLLM; call it before vLLM is imported.

    No process of vLLM outlives this one. The environment variables that are set keep vLLM to this
    machine. On a CPU they are those of training (``cpu/environment.py``), so that a model answers
    as in its own validation; only the number of threads is left to torch.
    """
    import torch

    from rewardmap_verl.cpu.environment import cpu_environment

    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("VLLM_HOST_IP", "127.0.0.1")  # the engine is on this machine
    disable_usage_statistics()
    if not torch.cuda.is_available():
        wanted = cpu_environment()
        wanted.pop("OMP_NUM_THREADS", None)
        os.environ.update(wanted)
    start_reaper()


@dataclass(frozen=True, slots=True)
class AnswerSources:
    """Reads or generates the answers of any source."""

    questions: EvalSet
    generation: Generation
    batch_size: int
    seed: int = 0
    lenient: bool = False
    progress: Callable[[int], object] = lambda count: None
    endpoint: EndpointOptions = field(default_factory=EndpointOptions)
    _engines: dict[str, Engine] = field(default_factory=dict)
    """The engine of the last model, for its masked runs; another model replaces it."""

    def default_name(self, source: str) -> str:
        """Return the name of a source in tables."""
        if source in BASELINES:
            return source
        if is_endpoint(source):
            return Endpoint.parse(source, self.endpoint).name
        if is_model(source):
            return model_name(source)
        path = find_saved(Path(source))
        if path.suffix == ".jsonl" and path.stem.isdecimal():
            return f"{path.resolve().parent.name}, step {path.stem}"
        return read_saved(path).model or path.stem

    def answers(self, source: str, log: Path, mask: Mask | None = None) -> Gathered:
        """Return the answers of a source; a model answers what its log does not have yet.

        Args:
            source: A model, a model of a server, saved answers, or the name of a baseline.
            log: The file that the answers of a model are appended to.
            mask: What the model sees in place of the maps.

        Raises:
            DataError, ConfigError: The source, its answers or the log cannot be used, or the
                source is no model that could be asked without its maps.
        """
        if mask is not None and (source in BASELINES or not is_model(source)):
            hint = "Only a model can be asked again without its maps; these are answers."
            raise ConfigError(f"--{mask.name.lower().replace('_', '-')}", found=source, hint=hint)
        if source in BASELINES:
            frequent = training_answers(self.questions)
            return Gathered(baseline_answers(source, self.questions, frequent, self.seed))
        if is_endpoint(source):
            self._ask_server(Endpoint.parse(source, self.endpoint), log, mask)
            return gather(read_saved(log), self.questions, self.lenient)
        if not is_model(source):
            return gather(read_saved(Path(source)), self.questions, self.lenient)
        check_model(source)
        self._ask(source, log, mask)
        return gather(read_saved(log), self.questions, self.lenient)

    def _ask(self, model: str, log: Path, mask: Mask | None) -> None:
        questions = self._shown(mask)
        with AnswerLog(log, log_header(questions, model, self.generation)) as opened:
            start = partial(self._engine, model)
            size = self.batch_size * self.generation.data_parallel_size
            answer_questions(questions, start, opened, size, self.progress)

    def _engine(self, model: str) -> Engine:
        if model not in self._engines:
            self._engines.clear()
            prepare_environment()
            several = self.generation.data_parallel_size > 1
            start = DataParallelEngine if several else VllmEngine
            self._engines[model] = start(model, self.generation, self.questions)
        return self._engines[model]

    def _ask_server(self, endpoint: Endpoint, log: Path, mask: Mask | None) -> None:
        questions = self._shown(mask)
        with AnswerLog(log, endpoint_header(questions, endpoint, self.generation)) as opened:
            ask_endpoint(questions, endpoint, self.generation, opened, self.progress)

    def _shown(self, mask: Mask | None) -> EvalSet:
        return self.questions if mask is None else self.questions.masked(mask)


def training_answers(questions: EvalSet) -> Mapping[QuestionType, int]:
    """Return the most frequent answers of the training split; empty without such a split."""
    if questions.folder is None or not (questions.folder / "train.parquet").is_file():
        return {}
    return frequent_answers(read_questions(questions.folder, "train").items)
