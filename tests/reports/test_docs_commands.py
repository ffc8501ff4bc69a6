"""Every command in README.md and docs/ is run here, or by a test that is named here with a reason.

A command that is in neither place fails the test, and so does an entry that no page uses any more.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import typer
from PIL import Image
from rewardmap_verl.preparation.exports.records import read_records
from typer.testing import CliRunner

from rewardmap_verl.commands.main import COMMANDS, app
from rewardmap_verl.preparation.manifest import read_manifest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

RUN = (
    r"rewardmap \S+ --help",
    r"rewardmap validate data/(synthetic|my-cities)",
    r"rewardmap export data/synthetic gallery",
    r"rewardmap audit data/.*",
    r"rewardmap summary runs/\S+",
    r"rewardmap report runs/\S+( runs/\S+ --output \S+)?",
    r"rewardmap explain answers\.jsonl .*",
    r"rewardmap score answers\.jsonl .*",
    r"rewardmap card runs/\S+ runs/\S+ --license \S+",
    r"rewardmap prepare local --root my-cities --size tiny .*",
)
"""Commands that are run in a folder that has what the pages speak of."""

TRAINING = "end_to_end/test_training_run.py::test_every_stage_is_trained_in_order_to_its_last_batch"
MERGE = "end_to_end/test_training_run.py::test_the_checkpoint_becomes_a_model"
CHECK_MERGE = "end_to_end/test_training_run.py::test_the_merged_model_answers_like_the_trained_one"
RECIPES = "preflight/test_recipes.py"
PREPARE = "preparation/test_prepare_folder.py"
EVALUATE = "evaluation"
CLUSTER = "cluster"

ELSEWHERE = {
    r"make (install|test).*": ("installs from the network, hours", "packaging/test_wheel.py"),
    r"\. \.venv/bin/activate": ("changes the shell, not the machine", "packaging/test_editable.py"),
    r"make train.*": ("minutes of the real stack", TRAINING),
    r"(make evidence|python -m benchmarks\.evidence).*": (
        "hours of the real stack",
        "evidence/test_evidence_runner.py",
    ),
    r"make merge.*": ("needs a checkpoint", MERGE),
    r"make prep-data.*": ("`rewardmap prepare` with the same options", PREPARE),
    r"rewardmap doctor": ("looks at the machine", "packaging/test_doctor.py"),
    r"rewardmap prepare synthetic .*": ("half a minute of drawing", PREPARE),
    r"rewardmap prepare local .*": ("full size", PREPARE),
    r"rewardmap prepare gtfs .*": ("needs a feed", "preparation/test_gtfs.py"),
    r"rewardmap prepare reasonmap .*": (
        "needs Hugging Face",
        "preparation/test_published_data.py",
    ),
    r"rewardmap validate data/rewardmap": ("the published data", "preparation/test_validate.py"),
    r"rewardmap curriculum preview.*": ("imports verl", "curriculum/test_preview.py"),
    r"rewardmap check-merge.*": ("needs a checkpoint", CHECK_MERGE),
    r"rewardmap merge.*": ("needs a checkpoint", "checkpoints/test_merge.py"),
    r"rewardmap card .* --evaluation .*": (
        "needs an evaluation",
        "reports/test_model_card.py::test_an_evaluation_s_table_is_part_of_the_card",
    ),
    r"rewardmap (evaluate|benchmarks).*": ("starts vLLM", EVALUATE),
    r"(\w+=\S+ )*python -m verl\.trainer\.main_ppo.*": ("trains", RECIPES),
    r"(\w+=\S+ )*torchrun .*": ("trains", RECIPES),
    r"python (docs|benchmarks)/\S+.*": (
        "makes pictures and figures",
        "reports/test_docs_commands.py",
    ),
    r"VLMEVALKIT=.*": ("needs VLMEvalKit and GPUs", EVALUATE),
    r"(export|OPTIONS=|bash recipes/cluster|ray |sbatch|sky|kubectl|srun|docker).*": (
        "needs a cluster",
        CLUSTER,
    ),
}
"""Commands that are covered elsewhere: why they are not run here, and the test."""

SHELLS = ("bash", "console", "sh")

MAY_BE_UNUSED = {r"rewardmap merge.*", r"(\w+=\S+ )*torchrun .*", r"python (docs|benchmarks)/\S+.*"}


def commands_of(page: Path) -> Iterator[str]:
    """The commands of a page's shell blocks, comments taken off and long lines joined; of blocks
    without a language those that begin like a command."""
    text = page.read_text("utf-8")
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            bare = re.sub(r"\s+#\s.*$", "", line).strip().removeprefix("$ ")
            is_command = language in SHELLS or re.match(r"(rewardmap|make|python) ", bare)
            if bare and is_command and not bare.startswith("#"):
                yield " ".join(bare.split())


ALL = [(page.name, command) for page in PAGES for command in commands_of(page)]


def is_run(command: str) -> bool:
    return any(re.fullmatch(pattern, command) for pattern in RUN)


def elsewhere(command: str) -> list[str]:
    return [pattern for pattern in ELSEWHERE if re.fullmatch(pattern, command)]


@pytest.fixture(scope="module")
def place(
    prepared: Path,
    run_folder: Path,
    simulated: ModuleType,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A folder with everything that the pages' commands take for granted."""
    folder = tmp_path_factory.mktemp("docs")
    for name in ("synthetic", "my-cities", "rewardmap"):
        shutil.copytree(prepared, folder / "data" / name)
    shutil.copytree(prepared / "networks", folder / "data" / "networks")
    for name in ("synthetic", "first", "second", "rewardmap", "baseline"):
        run = folder / "runs" / name
        shutil.copytree(run_folder, run)
        (run / "merged").mkdir()
        (run / "merged" / "config.json").write_text("{}", "utf-8")
    lines = [
        {"gts": record.truth.to_json(), "input": record.text, "output": record.answer}
        for record in list(read_records(prepared, read_manifest(prepared), "test"))[:4]
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "answers.jsonl").write_text(text, "utf-8")
    own_city(folder / "my-cities")
    return folder


def own_city(folder: Path) -> None:
    """Two small cities in the layout that the pages describe."""
    for city in ("lisboa", "porto"):
        lines = {
            f"Line {line}": [f"Stop {line}{place}" for place in range(5)] + ["Centre"]
            for line in range(1, 5)
        }
        stations = folder / "stations" / "portugal" / f"{city}.json"
        stations.parent.mkdir(parents=True, exist_ok=True)
        stations.write_text(json.dumps(lines), "utf-8")
        picture = folder / "maps" / "portugal" / f"{city}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (300, 200), "white").save(picture)


@pytest.mark.parametrize(("page", "command"), dict.fromkeys(ALL))
def test_a_command_works_or_is_covered(
    page: str, command: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    words = shlex.split(command)
    if is_run(command):
        done = CliRunner().invoke(app, words[1:])
        assert done.exit_code == 0, f"{command}\n{done.output}"
        return
    assert elsewhere(command), (
        f"{page} has a command that no test runs: {command}\nAdd it to RUN, or to ELSEWHERE with "
        "the test that covers it."
    )
    if words[0] == "rewardmap":
        parses(words[1:])
    if words[0] == "make":
        made = subprocess.run(
            ["make", "--dry-run", "--directory", ROOT, *words[1:]], capture_output=True, text=True
        )
        assert "No rule to make target" not in made.stderr, made.stderr


def parses(words: list[str]) -> None:
    """The command has such options and arguments; nothing is run."""
    group = typer.main.get_group(app)
    context = group.make_context("rewardmap", list(words), resilient_parsing=True)
    name, command, rest = group.resolve_command(context, list(words))
    assert name in COMMANDS and command is not None
    if not hasattr(command, "commands"):
        command.make_parser(context).parse_args(rest)


def test_every_entry_is_used_and_names_a_test_that_exists() -> None:
    commands = [command for _, command in ALL]
    for pattern in RUN:
        assert any(re.fullmatch(pattern, command) for command in commands), pattern
    for pattern, (reason, test) in ELSEWHERE.items():
        file, _, name = test.partition("::")
        path = ROOT / "tests" / file
        assert reason and path.exists(), test
        assert not name or f"def {name}(" in path.read_text("utf-8"), test
        used = any(re.fullmatch(pattern, command) for command in commands)
        assert used or pattern in MAY_BE_UNUSED, f"no page has such a command: {pattern}"


# What the pages say


def links_of(page: Path) -> Iterator[Path]:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if "://" not in target and not target.startswith("mailto:"):
            yield page.parent / target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    assert [str(target) for target in links_of(page) if not target.exists()] == []


def texts_of(node: ast.AST) -> str | None:
    """A string of the source with "…" where a value goes in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values
        )
    if isinstance(node, ast.BinOp):
        left, right = texts_of(node.left), texts_of(node.right)
        return (left or "") + (right or "") or None
    return None


@pytest.fixture(scope="module")
def said() -> str:
    """Everything that the program can say."""
    found = [
        text
        for path in sorted((ROOT / "rewardmap_verl").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if (text := texts_of(node))
    ]
    return "\n".join(found)


def test_the_faq_quotes_what_the_program_says(said: str) -> None:
    rows = re.findall(r"^\| (`.*?) \|", (ROOT / "docs" / "faq.md").read_text("utf-8"), re.M)
    assert len(rows) > 20
    for row in rows:
        for quoted in re.findall(r"`([^`]+)`", row):
            for piece in quoted.split("…"):
                assert piece.strip(" ,.;") in said, f"nothing says {piece!r}, of {quoted!r}"


def test_the_pictures_page_has_the_figures_of_the_code() -> None:
    import importlib.util
    import sys

    spec = importlib.util.spec_from_file_location("pictures", ROOT / "docs" / "reward_pictures.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["pictures"] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    _, _, _, answers = module.five_answers()
    assert module.table(answers) in (ROOT / "docs" / "reward-pictures.md").read_text("utf-8")
