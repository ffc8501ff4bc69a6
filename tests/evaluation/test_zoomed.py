"""``rewardmap evaluate --tool zoom``: dialogues with a server, and their rules."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from rewardmap_verl.commands.main import app
from rewardmap_verl.preparation.originals import store_original
from rewardmap_verl.zoom.boxes import Box
from rewardmap_verl.zoom.dialogue import Dialogue, read_call
from rewardmap_verl.zoom.settings import ZoomSettings
from rewardmap_verl.zoom.tool import call_text
from tests.evaluation.chat_server import Reply, chat_server, completion

CALL = call_text(Box(0, 0, 500, 500))
ANSWER = "\\boxed{yes}"
ZOOM = ("--zoom", "max_calls=2", "--zoom", "max_pixels=12544", "--zoom", "min_pixels=3136")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zoomed") / "data"
    words = ["--train-maps", "1", "--test-maps", "1", "--size", "tiny", "--keep-originals"]
    done = CliRunner().invoke(app, ["prepare", "synthetic", "--out", str(folder), *words])
    assert done.exit_code == 0, done.output
    return folder


def evaluate(data: Path, out: Path, calls: int, *more: str) -> tuple[list[Any], list[Any]]:
    """Ask a server that zooms ``calls`` times before it answers.

    Returns the requests, and the lines of the answer log.
    """

    def reply(request: dict[str, Any]) -> Reply:
        said = sum(message["role"] == "assistant" for message in request["messages"])
        return 200, completion(CALL if said < calls else ANSWER)

    with chat_server(reply) as server:
        words = ["evaluate", "--endpoint", server.url, "--model", "m", str(data), "--limit", "2"]
        words += ["--tool", "zoom", *ZOOM, "--no-baselines", "--out", str(out), *more]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
    lines = (out / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    return server.requests, [json.loads(line) for line in lines]


def longest(requests: list[Any]) -> list[dict[str, Any]]:
    """The messages of the last request of a dialogue."""
    return max((one["messages"] for one in requests), key=len)  # type: ignore[no-any-return]


def pictures(messages: list[dict[str, Any]]) -> list[Image.Image]:
    parts = [
        part for one in messages if isinstance(one["content"], list) for part in one["content"]
    ]
    urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    return [Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) for url in urls]


def test_a_server_gets_crops_and_the_last_turn_counts(data: Path, tmp_path: Path) -> None:
    requests, (header, *answers) = evaluate(data, tmp_path, 2)
    assert header["settings"]["zoom"]["max_calls"] == 2
    assert [one["response"] for one in answers] == [ANSWER, ANSWER]
    assert answers[0]["transcript"].count("Box [0, 0, 500, 500]. Calls left: ") == 2
    assert answers[0]["tokens"] == 21, "of all turns"
    assert sorted(len(one["messages"]) for one in requests) == [2, 2, 4, 4, 6, 6]
    messages = longest(requests)
    roles = ["system", "user", "assistant", "tool", "assistant", "tool"]
    assert [one["role"] for one in messages] == roles
    _, *crops = pictures(messages)
    assert len(crops) == 2
    assert all(3136 <= crop.width * crop.height <= 12544 for crop in crops)
    limits = {len(one["messages"]): one["max_tokens"] for one in requests}
    assert limits == {2: 2048, 4: 2041, 6: 2034}


def test_calls_are_limited_and_turns_too(data: Path, tmp_path: Path) -> None:
    requests, (_, *answers) = evaluate(data, tmp_path, 99, "--tool-role", "user")
    messages = longest(requests)
    assert len(pictures(messages)) == 3, "the map and two crops"
    assert messages[-1] == {
        "role": "user",
        "content": [{"type": "text", "text": "No zoom is left. Give your answer now."}],
    }
    assert answers[0]["response"] == CALL


def test_a_masked_map_has_no_tool(data: Path, tmp_path: Path) -> None:
    requests, _ = evaluate(data, tmp_path, 1, "--without-map")
    plain = [one["messages"] for one in requests if not pictures(one["messages"])]
    assert plain and all([message["role"] for message in one] == ["user"] for one in plain)


def test_data_without_originals_are_refused(tmp_path: Path) -> None:
    maps = ["--train-maps", "1", "--test-maps", "1"]
    words = ["prepare", "synthetic", *maps, "--out", str(tmp_path / "data")]
    assert CliRunner().invoke(app, words).exit_code == 0
    words = ["--endpoint", "http://127.0.0.1:9/v1", "--model", "m", str(tmp_path / "data")]
    done = CliRunner().invoke(app, ["evaluate", *words, "--tool", "zoom"], env={"COLUMNS": "300"})
    assert done.exit_code != 0 and "--keep-originals" in done.output


@pytest.fixture
def dialogue(tmp_path: Path) -> Callable[..., Dialogue]:
    noise = np.random.default_rng(0).integers(0, 256, (560, 420, 3), dtype=np.uint8)
    original = tmp_path / store_original(Image.fromarray(noise), "images/map.png", tmp_path)
    settings = ZoomSettings(max_calls=2, max_pixels=12544, min_pixels=3136)
    return lambda: Dialogue(str(original), settings, 28, [{"role": "user", "content": "?"}])


@pytest.mark.parametrize(
    "text",
    ["", ANSWER, "<tool_call>{}</tool_call>", "<tool_call>[1]</tool_call>", "<tool_call>", "{"],
)
def test_a_turn_without_a_readable_call_is_the_answer(text: str, dialogue: Any) -> None:
    one = dialogue()
    one.take(text, 3, True)
    assert one.done and one.answer == text and one.transcript == text


def test_a_turn_that_was_cut_off_ends(dialogue: Any) -> None:
    one = dialogue()
    one.take(CALL, 3, False)
    assert one.done


def test_other_tools_and_bad_boxes_get_a_text(dialogue: Any) -> None:
    one = dialogue()
    one.take('<tool_call>{"name": "shell", "arguments": {}}</tool_call>', 1, True)
    assert "Unknown function 'shell'" in one.turns[-1]
    one.take('<tool_call>{"name": "zoom", "arguments": "all"}</tool_call>', 1, True)
    assert one.turns[-1].endswith("Calls left: 1.") and not one.images
    one.take(CALL, 1, True)
    assert len(one.images) == 1 and not one.done


def test_of_several_calls_the_first_counts() -> None:
    assert read_call(f"{CALL}{call_text(Box(1, 2, 3, 4))}") == ("zoom", {"box": [0, 0, 500, 500]})
    assert read_call("<tool_call>x</tool_call>" + CALL) == ("zoom", {"box": [0, 0, 500, 500]})
