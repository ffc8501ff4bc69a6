"""``rewardmap evaluate --endpoint``: the openai client against a server with faults."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rewardmap_verl.commands.main import app
from rewardmap_verl.errors import ConfigError
from rewardmap_verl.evaluation.endpoint import Endpoint, EndpointOptions
from rewardmap_verl.evaluation.questions import EvalQuestion, EvalSet
from rewardmap_verl.rewards.perfect import perfect_answer
from tests.evaluation.chat_server import (
    ChatServer,
    Reply,
    chat_server,
    completion,
    fault,
    image_bytes,
    image_of,
    question_of,
)

KEY = "sk-very-secret"


class Solver:
    """Gives the gold answer; the first ``faults`` replies to a question are others."""

    def __init__(self, questions: EvalSet) -> None:
        self.by_content = {
            (q.prompt.replace("<image>", ""), q.image.read_bytes()): q
            for q in questions.items
            if q.image is not None
        }
        self.faults: dict[int, list[Reply]] = {}
        """By row of the question."""
        self.asked: Counter[int] = Counter()
        self.lock = threading.Lock()

    def question(self, request: dict[str, Any]) -> EvalQuestion:
        return self.by_content[question_of(request), image_bytes(request) or b""]

    def __call__(self, request: dict[str, Any]) -> Reply:
        question = self.question(request)
        with self.lock:
            self.asked[question.index] += 1
            due = self.faults.get(question.index)
            if due:
                return due.pop(0)
        return 200, completion(perfect_answer(question.truth, question.network))


@pytest.fixture
def solver(questions: EvalSet) -> Solver:
    return Solver(questions)


@pytest.fixture
def server(solver: Solver, monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with chat_server(solver) as running:
        yield running


def evaluate(server: ChatServer, data: Path, out: Path, *more: object) -> Any:
    words = ["--endpoint", server.url, "--model", "org/m", data, "--out", out, "--no-baselines"]
    arguments = [str(word) for word in ("evaluate", *words, *more)]
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    for file in out.rglob("*"):
        assert KEY not in file.read_text("utf-8")
    assert KEY not in done.output and "Traceback" not in done.output
    return done


def rows(out: Path) -> dict[int, dict[str, Any]]:
    lines = (out / "answers.jsonl").read_text("utf-8").splitlines()
    found = [json.loads(line) for line in lines[1:]]
    assert len({row["index"] for row in found}) == len(found)
    return {row["index"]: row for row in found}


def model_results(out: Path) -> dict[str, Any]:
    (model,) = json.loads((out / "results.json").read_text("utf-8"))["models"]
    return model  # type: ignore[no-any-return]


def test_every_question_is_asked_once_with_its_map(
    server: ChatServer, solver: Solver, prepared: Path, questions: EvalSet, tmp_path: Path
) -> None:
    server.delay = 0.02
    more = ("--concurrency", 5, "--max-tokens", 99, "--repetition-penalty", 1.05)
    done = evaluate(server, prepared, tmp_path, *more)
    assert done.exit_code == 0, done.output
    assert set(solver.asked.values()) == {1} and len(solver.asked) == len(questions.items)
    assert server.keys == {f"Bearer {KEY}"} and 2 <= server.busiest <= 5
    for request in server.requests:
        assert (request["model"], request["temperature"]) == ("org/m", 0)
        assert (request["max_tokens"], request["repetition_penalty"]) == (99, 1.05)
    model = model_results(tmp_path)
    assert model["name"] == "org/m"
    assert set(model["accuracy_by_data_source"].values()) == {1.0}
    count = len(questions.items)
    tokens = f"{100 * count:,} in prompts, {7 * count:,} in answers"
    assert any(tokens in note for note in model["notes"])


def test_passing_faults_are_repeated(
    server: ChatServer, solver: Solver, prepared: Path, tmp_path: Path
) -> None:
    solver.faults = {
        0: [fault(429, "slow down"), fault(429, "slow down"), fault(500, "oops")],
        1: [(503, "<html>bad gateway</html>")],
        2: [fault(408, "timeout")],
    }
    done = evaluate(server, prepared, tmp_path)
    assert done.exit_code == 0, done.output
    assert [solver.asked[row] for row in range(4)] == [4, 2, 2, 1]
    assert set(model_results(tmp_path)["accuracy_by_data_source"].values()) == {1.0}


def test_a_request_without_a_response_is_repeated(
    server: ChatServer, solver: Solver, prepared: Path, tmp_path: Path
) -> None:
    def slow_once(request: dict[str, Any]) -> Reply:
        reply = solver(request)
        if solver.question(request).index == 3 and solver.asked[3] == 1:
            time.sleep(0.6)
        return reply

    server.reply = slow_once
    done = evaluate(server, prepared, tmp_path, "--timeout", 0.3, "--concurrency", 2)
    assert done.exit_code == 0, done.output
    assert solver.asked[3] == 2


def test_refusals_and_empty_answers_are_data(
    server: ChatServer, solver: Solver, prepared: Path, questions: EvalSet, tmp_path: Path
) -> None:
    nothing = completion("")
    nothing["choices"] = []
    bare = completion("")
    del bare["usage"], bare["choices"][0]["message"]["content"]
    solver.faults = {
        0: [(200, completion(None, refusal="I cannot say yes or no."))],
        1: [fault(400, "filtered", "content_filter")],
        2: [(200, completion(None, finish="content_filter"))],
        3: [(200, nothing)],
        4: [(200, bare)],
        5: [(200, completion("a b", finish="length"))],
    }
    done = evaluate(server, prepared, tmp_path)
    assert done.exit_code == 0, done.output
    found = rows(tmp_path)
    assert [found[row]["finish"] for row in range(6)] == [
        *("refusal", "refusal", "refusal", "empty", "stop", "length")
    ]
    assert [found[row]["response"] for row in range(6)] == [None] * 5 + ["a b"]
    assert found[0]["refusal"] == "I cannot say yes or no." and found[4]["tokens"] is None
    notes = " ".join(model_results(tmp_path)["notes"])
    count = len(questions.items)
    assert f"3 of {count} questions were refused" in notes
    assert f"2 of {count} answers are empty" in notes and f"1 of {count} answers were cut" in notes
    right = [one["right"] for one in model_results(tmp_path)["questions"]]
    assert right == [0.0] * 6 + [1.0] * (count - 6)


def test_a_lasting_fault_stops_and_the_next_call_resumes(
    server: ChatServer, solver: Solver, prepared: Path, questions: EvalSet, tmp_path: Path
) -> None:
    solver.faults = {9: [fault(500, "broken")] * 3}
    call = (server, prepared, tmp_path, "--retries", 2, "--concurrency", 1)
    done = evaluate(*call)
    assert done.exit_code == 2
    shown = " ".join(done.output.split())
    assert "row 9" in shown and "HTTP 500" in shown and "failed 3 times" in shown
    assert "again to resume" in shown
    assert sorted(rows(tmp_path)) == list(range(9))
    assert evaluate(*call).exit_code == 0
    assert solver.asked == Counter(dict.fromkeys(range(len(questions.items)), 1)) + Counter({9: 3})


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (fault(401, f"Incorrect API key provided: {KEY}"), "OPENAI_API_KEY to a valid key"),
        (fault(404, "no such model"), "--model"),
        (fault(400, "This model's maximum context length is 10 tokens"), "--max-tokens"),
        (fault(413, "too large"), "--max-pixels"),
        ((200, "<html>welcome</html>"), "end with /v1"),
        ((200, {"error": {"message": "upstream", "code": 502}}), "upstream"),
        ((200, {"choices": [None]}), "choices.0"),
        ((200, {"choices": "none"}), "no reply of the chat API"),
        ((200, {"choices": [{"message": {"content": [1]}}]}), "choices.0.message.content"),
        ((200, {"choices": [], "usage": {"completion_tokens": "many"}}), "completion_tokens"),
    ],
)
def test_errors_name_the_fix_and_not_the_key(
    server: ChatServer, prepared: Path, tmp_path: Path, reply: Reply, message: str
) -> None:
    server.reply = lambda request: reply
    done = evaluate(server, prepared, tmp_path, "--limit", 1)
    assert done.exit_code == 2 and message in " ".join(done.output.split())
    assert len(server.requests) == 1


def test_a_server_that_is_not_there(prepared: Path, tmp_path: Path) -> None:
    nowhere = ChatServer(lambda request: (200, ""), url="http://127.0.0.1:9/v1")
    done = evaluate(nowhere, prepared, tmp_path, "--retries", 0)
    assert done.exit_code == 2 and "Is the server running?" in " ".join(done.output.split())


def test_models_that_want_max_completion_tokens_get_it(
    server: ChatServer, solver: Solver, prepared: Path, tmp_path: Path
) -> None:
    def strict(request: dict[str, Any]) -> Reply:
        if "max_tokens" in request:
            return fault(400, "Use 'max_completion_tokens' instead of 'max_tokens'.")
        return solver(request)

    server.reply = strict
    done = evaluate(server, prepared, tmp_path, "--concurrency", 3, "--sampling", "model")
    assert done.exit_code == 0, done.output
    assert sum("max_tokens" in request for request in server.requests) <= 3
    assert all("temperature" not in request for request in server.requests)
    header = json.loads((tmp_path / "answers.jsonl").read_text("utf-8").splitlines()[0])
    assert header["settings"] == {"temperature": "model", "max_tokens": 2048}
    assert header["model"] == {"name": "org/m", "files": "", "endpoint": server.url}


def test_maps_are_reduced_to_the_pixels_of_a_model(
    server: ChatServer, prepared: Path, tmp_path: Path
) -> None:
    server.reply = lambda request: (200, completion("no"))
    done = evaluate(server, prepared, tmp_path, "--max-pixels", 5000, "--limit", 3)
    assert done.exit_code == 0, done.output
    for request in server.requests:
        image = image_of(request)
        assert image is not None and 2500 < image.width * image.height <= 5000
    other = evaluate(server, prepared, tmp_path, "--limit", 3)
    assert other.exit_code == 2 and "max_pixels" in " ".join(other.output.split())


def test_sources_that_name_no_model_are_refused() -> None:
    options = EndpointOptions(api_key_env="MISSING_KEY")
    for source, message in (
        ("http://host/v1", "--model"),
        ("http://user:secret@host/v1#m", "MISSING_KEY"),
        ("http://host/v1?key=secret#m", "MISSING_KEY"),
        ("http:///v1#m", "localhost:8000"),
    ):
        with pytest.raises(ConfigError, match=message) as caught:
            Endpoint.parse(source, options)
        assert "secret" not in str(caught.value)
    with pytest.raises(ConfigError, match="MISSING_KEY"):
        Endpoint.parse("https://host/v1/#m", options).key()
    assert Endpoint.parse("https://host/v1/#org/m", options).url == "https://host/v1"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "m", "data"], "need each other"),
        (["--endpoint", "http://host", "data"], "need each other"),
        (["--endpoint", "host:80", "--model", "m", "data"], "Give a URL"),
        (["--endpoint", "http://host", "--model", "m", "a", "b"], "only argument"),
        (["planner"], "SOURCE DATA"),
    ],
)
def test_arguments_that_do_not_fit(words: list[str], message: str) -> None:
    done = CliRunner().invoke(app, ["evaluate", *words])
    assert done.exit_code == 2 and message in " ".join(done.output.split())
