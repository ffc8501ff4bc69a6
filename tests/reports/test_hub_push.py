"""``--push`` of ``card`` and ``export``: the real client against a local server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from typer.testing import CliRunner

from rewardmap_verl.commands.main import app
from tests.hub_server import Hub, hub_server

TOKEN = "hf_secret"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with hub_server() as running:
        monkeypatch.setattr(constants, "ENDPOINT", running.url)
        yield running


def rewardmap(*words: object) -> Any:
    done = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})
    assert TOKEN not in done.output and "Traceback" not in done.output
    return done


def test_a_model_and_its_card_are_uploaded(hub: Hub, run_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", "utf-8")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "training_args.bin").write_bytes(b"a pickle")
    (tmp_path / "notes.md").write_text("private", "utf-8")
    done = rewardmap("card", run_folder, tmp_path, "--push", "me/model", "--private")
    assert done.exit_code == 0, done.output
    assert f"{hub.url}/me/model" in done.output and hub.commits == 1
    assert hub.created[0]["visibility"] == "private" and hub.keys == {f"Bearer {TOKEN}"}
    sent = {name.removeprefix("models/me/model/") for name in hub.files}
    assert sent == {"config.json", "model.safetensors", "README.md"}
    assert hub.files["models/me/model/model.safetensors"] == b"weights"
    assert b'from_pretrained("me/model"' in hub.files["models/me/model/README.md"]


def test_no_file_outside_of_the_folder_is_uploaded(
    hub: Hub, run_folder: Path, tmp_path: Path
) -> None:
    model, secret = tmp_path / "model", tmp_path / "credentials.json"
    model.mkdir()
    (model / "config.json").write_text("{}", "utf-8")
    secret.write_text("{}", "utf-8")
    (model / "tokenizer.json").symlink_to(secret)
    done = rewardmap("card", run_folder, model, "--push", "me/model")
    assert done.exit_code == 2 and "tokenizer.json" in done.output
    assert hub.commits == 0 and not hub.files and not hub.created


def test_a_data_set_is_uploaded(hub: Hub, prepared: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = rewardmap("export", prepared, "hub", "--out", out, "--push", "me/maps")
    assert done.exit_code == 0, done.output
    assert f"{hub.url}/datasets/me/maps" in done.output
    written = {str(path.relative_to(out)) for path in out.rglob("*.*") if path.suffix != ".json"}
    assert {name.removeprefix("datasets/me/maps/") for name in hub.files} == written
    assert {"README.md", "maps/maps.parquet", "questions/test.parquet"} <= written


def test_what_cannot_be_uploaded_is_reported(hub: Hub, prepared: Path, tmp_path: Path) -> None:
    call = ("export", prepared, "hub", "--out", tmp_path / "out", "--push")
    hub.status = 403
    for name, message in (("me/maps", "write access"), ("a/b/c", "OWNER/NAME")):
        done = rewardmap(*call, name)
        assert done.exit_code == 2 and message in " ".join(done.output.split())
    done = rewardmap("export", prepared, "sharegpt", "--out", tmp_path / "s", "--push", "me/maps")
    assert done.exit_code == 2 and "Only the format hub" in done.output
    assert not hub.files and (tmp_path / "out" / "README.md").is_file()


def test_a_hub_that_is_not_there(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    done = rewardmap("export", prepared, "hub", "--out", tmp_path / "out", "--push", "me/maps")
    assert done.exit_code == 2 and "`hf upload` uploads it as well" in " ".join(done.output.split())
