"""Ask a model behind an OpenAI-compatible server: vLLM, SGLang, Ollama, OpenRouter, OpenAI, ….

The map travels as a data URL inside a chat message, at the size that the prepared data have. The
``openai`` client repeats a request after 408, 409, 429, 5xx, a timeout or a lost connection, with
exponential back-off or after the time that the server asks for. Every answer is logged when it
arrives. A refusal and an empty answer are data; a request that fails for good ends the evaluation,
and the next call resumes it.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import urldefrag, urlsplit

from cachetools import LRUCache
from pydantic import BaseModel, ValidationError

from rewardmap_verl.errors import ConfigError
from rewardmap_verl.evaluation.answer_log import AnswerLog, LoggedAnswer
from rewardmap_verl.evaluation.inference import Generation, chat_messages, log_header, model_name
from rewardmap_verl.evaluation.questions import EvalQuestion, EvalSet
from rewardmap_verl.evaluation.zoomed import check_originals, logged_dialogue, start_dialogue
from rewardmap_verl.zoom.dialogue import Dialogue

__all__ = [
    "Endpoint",
    "EndpointOptions",
    "ask_endpoint",
    "endpoint_header",
    "is_endpoint",
    "read_reply",
]

DEFAULT_KEY: Final = "OPENAI_API_KEY"
_NO_KEY: Final = "EMPTY"
"""Servers without a key accept any; the client requires one."""
_REFUSED: Final = ("content_filter", "content_policy_violation")
_CACHED_MAPS: Final = 16
_RESUME: Final = "Finished answers are kept: run the same command again to resume."


@dataclass(frozen=True, slots=True)
class EndpointOptions:
    """How a server is asked."""

    api_key_env: str = DEFAULT_KEY
    """Name of the environment variable with the key; the key itself is never stored."""
    concurrency: int = 16
    """Requests at a time."""
    retries: int = 8
    """Repetitions of a failed request; the wait doubles from 0.5 to 8 seconds."""
    timeout: float = 600.0
    """Seconds until a request without a response counts as failed."""
    max_pixels: int | None = None
    """Maps with more pixels are reduced; by default they are sent as prepared."""
    tool_role: str = "tool"
    """Role of the messages with crops: ``tool``, as in training, or ``user``, for servers that take
    no pictures from tools."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model behind a server; as a source of answers it is written ``URL#MODEL``."""

    url: str
    """Base URL of the API; it usually ends with ``/v1``."""
    model: str
    """Name under which the server knows the model."""
    options: EndpointOptions = field(default_factory=EndpointOptions)

    @classmethod
    def parse(cls, source: str, options: EndpointOptions) -> Endpoint:
        """Read a source of the form ``URL#MODEL``.

        Raises:
            ConfigError: There is no host or no model, or the URL contains a password.
        """
        url, model = urldefrag(source)
        parts = urlsplit(url)
        if parts.username or parts.password or parts.query:
            hint = f"Give the key in the environment variable {options.api_key_env}."
            raise ConfigError("--endpoint", found="a URL with a key or a query", hint=hint)
        if not parts.hostname:
            raise ConfigError("--endpoint", found=url, hint="An example: http://localhost:8000/v1.")
        if not model:
            hint = "Give the name of the model as the server lists it under /models."
            raise ConfigError("--model", found="nothing", hint=hint)
        return cls(url.rstrip("/"), model, options)

    @property
    def name(self) -> str:
        """Name of the model in tables."""
        return model_name(self.model)

    def key(self) -> str:
        """Return the key from the environment.

        Raises:
            ConfigError: The named variable is not set.
        """
        key = os.environ.get(self.options.api_key_env, "")
        if not key and self.options.api_key_env != DEFAULT_KEY:
            hint = "Set this environment variable to the key of the server."
            raise ConfigError("--api-key-env", found=self.options.api_key_env, hint=hint)
        return key or _NO_KEY


def is_endpoint(source: str) -> bool:
    """Return whether a source is a server."""
    return source.startswith(("http://", "https://"))


def endpoint_header(
    questions: EvalSet, endpoint: Endpoint, generation: Generation
) -> dict[str, Any]:
    """Return the header of the answer log; see ``log_header``."""
    header = log_header(questions, endpoint.name, generation)
    settings = {name: value for name, value in header["settings"].items() if name != "dtype"}
    if endpoint.options.max_pixels is not None:
        settings["max_pixels"] = endpoint.options.max_pixels
    identity = {"name": endpoint.name, "files": "", "endpoint": endpoint.url}
    return header | {"model": identity, "settings": settings}


def ask_endpoint(
    questions: EvalSet,
    endpoint: Endpoint,
    generation: Generation,
    log: AnswerLog,
    progress: Callable[[int], object] = lambda count: None,
) -> int:
    """Ask a server every question that the log does not answer; each answer is logged on arrival.

    Args:
        questions: The questions.
        endpoint: The model and its server.
        generation: Maximum tokens, and greedy decoding or the server's own settings.
        log: An open log.
        progress: Called with the number of finished questions, first with those of the log.

    Returns:
        The number of questions that were asked.

    Raises:
        ConfigError: The server cannot be reached, or refuses a request for good.
    """
    due = [item for item in questions.items if item.key not in log.known]
    progress(len(questions.items) - len(due))

    def done(answer: LoggedAnswer) -> None:
        log.append([answer])
        progress(1)

    if due:
        asyncio.run(_Client(endpoint, generation, questions).answer_all(iter(due), done))
    return len(due)


class _Client:
    """Chat requests to one model."""

    def __init__(self, endpoint: Endpoint, generation: Generation, questions: EvalSet) -> None:
        import openai

        if generation.zoom is not None:
            check_originals(questions)
        self._generation, self._questions = generation, questions
        self._endpoint, self._key = endpoint, endpoint.key()
        self._client = openai.AsyncOpenAI(
            base_url=endpoint.url,
            api_key=self._key,
            max_retries=endpoint.options.retries,
            timeout=endpoint.options.timeout,
        )
        self._urls: LRUCache[Path | None, str] = LRUCache(_CACHED_MAPS)
        self._settings: dict[str, Any] = {"model": endpoint.model}
        self._settings["max_tokens"] = generation.max_tokens
        if generation.greedy:
            self._settings["temperature"] = 0.0
        if generation.repetition_penalty is not None:  # known to vLLM and SGLang, not to OpenAI
            self._settings["extra_body"] = {"repetition_penalty": generation.repetition_penalty}

    async def answer_all(
        self, due: Iterator[EvalQuestion], done: Callable[[LoggedAnswer], None]
    ) -> None:
        """Answer questions, ``concurrency`` at a time; the first failure ends all."""

        async def work() -> None:
            for question in due:
                zooms = self._generation.zoom is not None
                done(await (self._in_turns if zooms else self._answer)(question))

        async with self._client:
            workers = [
                asyncio.create_task(work()) for _ in range(self._endpoint.options.concurrency)
            ]
            try:
                await asyncio.gather(*workers)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    async def _in_turns(self, question: EvalQuestion) -> LoggedAnswer:
        """Answer a question with the zoom tool, one request for each turn."""
        assert self._generation.zoom is not None
        prompt = self._messages(question)
        dialogue = start_dialogue(question, self._questions, self._generation.zoom, prompt)
        while True:
            said = await self._answer(question, dialogue)
            if said.response is None:
                return said
            dialogue.take(said.response, said.tokens, said.finish == "stop")
            if dialogue.done:
                return logged_dialogue(question, dialogue, said.finish)

    async def _answer(
        self, question: EvalQuestion, dialogue: Dialogue | None = None
    ) -> LoggedAnswer:
        import openai

        try:
            response = await self._ask(question, dialogue)
        except openai.APIStatusError as error:
            if error.code in _REFUSED:
                return LoggedAnswer(
                    question.key, question.index, None, None, "refusal", str(error.code)
                )
            self._stop(
                question,
                f"HTTP {error.status_code}: {error.message}",
                self._hint(error.status_code),
            )
        except openai.APIConnectionError as error:  # also a timeout
            self._stop(
                question,
                f"{error.message} {error.__cause__ or ''}",
                f"Is the server running? {_RESUME}",
            )
        if not isinstance(response, openai.BaseModel):
            self._stop(question, response, "The server sent no JSON. Does the URL end with /v1?")
        if fault := getattr(response, "error", None):
            self._stop(question, fault, _RESUME)
        try:
            return read_reply(question, response)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            self._stop(question, f"{where}: {first['msg']}", "This is no reply of the chat API.")

    async def _ask(self, question: EvalQuestion, dialogue: Dialogue | None = None) -> Any:
        """Send one request; models that refuse ``max_tokens`` get ``max_completion_tokens``."""
        import openai

        sent, messages = dict(self._settings), self._messages(question)
        if dialogue is not None:
            messages = self._turns(dialogue)
            name = "max_tokens" if "max_tokens" in sent else "max_completion_tokens"
            sent[name] = max(1, sent[name] - dialogue.tokens)
        create: Any = self._client.chat.completions.create
        try:
            return await create(messages=messages, **sent)
        except openai.BadRequestError as error:
            if "max_tokens" not in sent or "max_completion_tokens" not in error.message:
                raise
        if "max_tokens" in self._settings:  # another request may have been first
            self._settings["max_completion_tokens"] = self._settings.pop("max_tokens")
        return await self._ask(question, dialogue)

    def _turns(self, dialogue: Dialogue) -> list[dict[str, Any]]:
        """Return a dialogue as messages; crops travel as data URLs."""
        role = self._endpoint.options.tool_role
        return [
            message
            if message["role"] != "tool"
            else {"role": role, "content": [_sent(part) for part in message["content"]]}
            for message in dialogue.messages
        ]

    def _messages(self, question: EvalQuestion) -> list[dict[str, Any]]:
        messages = chat_messages(question.prompt)
        content = [
            {"type": "image_url", "image_url": {"url": self._data_url(question)}}
            if part["type"] == "image"
            else part
            for part in messages[0]["content"]
            if part["type"] != "image" or question.image is not None
        ]
        return [{"role": "user", "content": content}]

    def _data_url(self, question: EvalQuestion) -> str:
        if question.image not in self._urls:
            self._urls[question.image] = self._encode(question)
        return self._urls[question.image]

    def _encode(self, question: EvalQuestion) -> str:
        """Return the map as a data URL: the prepared file, a reduced or a white image."""
        from rewardmap_verl.preparation.images import PixelBudget, encode_png, fit

        picture, limit = question.picture(), self._endpoint.options.max_pixels
        assert picture is not None and question.image is not None
        if limit is not None and picture.width * picture.height > limit:
            content = encode_png(fit(picture, PixelBudget(max_pixels=limit), question.image))
        elif question.blank or question.image.suffix != ".png":
            content = encode_png(picture)
        else:
            content = question.image.read_bytes()
        return _as_url(content)

    def _hint(self, status: int) -> str:
        """Return what a user can do about a failed request."""
        options = self._endpoint.options
        if status == 429 or status >= 500:
            tried = f"It failed {options.retries + 1} times; see --concurrency and --retries."
            return f"{tried} {_RESUME}"
        hints: Mapping[int, str] = {
            400: "See --max-tokens, --max-pixels and, for a fixed temperature, --sampling model.",
            401: f"Set the environment variable {options.api_key_env} to a valid key.",
            403: f"The key in {options.api_key_env} may not use this model.",
            404: "Check --endpoint, which usually ends with /v1, and --model.",
            413: "The map is too large for this server; see --max-pixels.",
        }
        return hints.get(status, _RESUME)

    def _stop(self, question: EvalQuestion, found: object, hint: str) -> NoReturn:
        """End the evaluation; the key does not appear in the message."""
        where = f"{self._endpoint.url}, row {question.index}"
        raise ConfigError(where, found=str(found).replace(self._key, "***"), hint=hint) from None


def _as_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


def _sent(part: dict[str, Any]) -> dict[str, Any]:
    """Return a part of a tool's answer as a server takes it."""
    from rewardmap_verl.preparation.images import encode_png

    if part["type"] != "image":
        return part
    return {"type": "image_url", "image_url": {"url": _as_url(encode_png(part["image"]))}}


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message | None = None
    finish_reason: str | None = None


class _Usage(BaseModel):
    completion_tokens: int | None = None
    prompt_tokens: int | None = None


class _Reply(BaseModel):
    """What is read of a response; the client itself accepts any JSON."""

    choices: list[_Choice] | None = None
    usage: _Usage | None = None


def read_reply(question: EvalQuestion, response: object) -> LoggedAnswer:
    """Turn a response into an answer; whatever a server may leave out is missing, not an error.

    Args:
        question: The question.
        response: The response, parsed by the client, which checks no types.

    Raises:
        ValidationError: A field that is read has another type.
    """
    reply = _Reply.model_validate(response, from_attributes=True)
    choice = reply.choices[0] if reply.choices else _Choice(finish_reason="empty")
    message, usage = choice.message or _Message(), reply.usage or _Usage()
    text, finish, refusal = message.content, str(choice.finish_reason), message.refusal or ""
    if refusal or (finish == "content_filter" and not text):
        text, finish, refusal = None, "refusal", refusal or finish
    return LoggedAnswer(
        question.key,
        question.index,
        text,
        usage.completion_tokens,
        finish,
        refusal,
        usage.prompt_tokens,
    )
