"""Commands and quoted texts in README.md, docs/ and recipes/README.md.

Every command is run here or by a test that is named here with a reason. A command in neither list
fails, and so does an entry that no page uses.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from benchmarks.evidence.cli import evidence as evidence_app
from rewardmap_verl.commands.main import COMMANDS, app
from rewardmap_verl.curriculum.config import read_curriculum
from rewardmap_verl.preflight.compose import compose_run
from rewardmap_verl.preparation.records import read_prepared_questions

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = [README, ROOT / "recipes" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

RUN = (
    r"rewardmap \S+ --help",
    r"rewardmap validate data/(synthetic|my-cities|rewardmap)",
    r"rewardmap export data/synthetic gallery",
    r"rewardmap audit data/.*",
    r"rewardmap summary runs/\S+( --format json)?",
    r"rewardmap report runs/\S+( runs/\S+ --out \S+| --curve \S+)?",
    r"rewardmap explain (answers|scored)\.jsonl .*",
    r"rewardmap score answers\.jsonl .*",
    r"rewardmap report scored\.jsonl --data \S+",
    r"rewardmap card runs/\S+ runs/\S+ --license \S+",
    r"rewardmap prepare local --root my-cities --size tiny .*",
    r"rewardmap sft-rows data/rewardmap( --.*)?",
)
"""Commands that run in a folder with everything that the pages assume."""

PREVIEW = r"rewardmap curriculum preview (?!.*--model).*"
"""Commands that run on the data of the quick start, because their result depends on the size."""

TRAINING = "end_to_end/test_training_run.py::test_every_stage_is_trained_in_order_to_its_last_batch"
MERGE = "end_to_end/test_training_run.py::test_the_checkpoint_becomes_a_model"
CHECK_MERGE = "end_to_end/test_training_run.py::test_the_merged_model_answers_like_the_trained_one"
RECIPES = "preflight/test_recipes.py"
PREPARE = "preparation/test_prepare_folder.py"
EVALUATE = "evaluation"
CLUSTER = "cluster"

ELSEWHERE = {
    r"make (install|test).*": ("downloads packages, takes hours", "packaging/test_wheel.py"),
    r"uv pip install .*": ("downloads packages", "packaging/test_doctor.py"),
    r"\. \.venv/bin/activate": ("changes the shell only", "packaging/test_editable.py"),
    r"make train.*": ("takes minutes on the real stack", TRAINING),
    r"rewardmap train.*": ("takes minutes on the real stack", TRAINING),
    r"make evidence.*": ("takes hours on the real stack", "evidence/test_evidence_runner.py"),
    r"python -m benchmarks\.evidence .*": (
        "takes hours on the real stack",
        "evidence/test_evidence_runner.py",
    ),
    r"make merge.*": ("needs a checkpoint", MERGE),
    r"make prep-data.*": ("runs `rewardmap prepare` with the same options", PREPARE),
    r"rewardmap doctor": ("inspects the machine", "packaging/test_doctor.py"),
    r"rewardmap prepare synthetic .*": ("draws for half a minute", PREPARE),
    r"rewardmap prepare local .*": ("prepares at full size", PREPARE),
    r"rewardmap prepare gtfs .*": ("needs a feed", "preparation/test_gtfs.py"),
    r"rewardmap prepare reasonmap .*": (
        "downloads from Hugging Face",
        "preparation/test_published_data.py",
    ),
    r"rewardmap check-merge.*": ("needs a checkpoint", CHECK_MERGE),
    r"rewardmap track .*": ("needs a tracker", "reports/test_trackers.py"),
    r"rewardmap merge.*": ("needs a checkpoint", "checkpoints/test_merge.py"),
    r"rewardmap card .* --evaluation .*": (
        "needs an evaluation",
        "reports/test_model_card.py::test_an_evaluation_is_in_the_card_and_in_its_metadata",
    ),
    r"rewardmap (evaluate|benchmarks).*": ("starts vLLM", EVALUATE),
    r"rewardmap export .* --reasoning .*": ("needs originals", "zoom/test_traces.py"),
    r"rewardmap (tiny-model|cold-start) .* --traces .*": (
        "trains for minutes",
        "end_to_end/test_zoom.py",
    ),
    r"rewardmap curriculum preview .* --model .*": ("starts vLLM", "evaluation/test_signal.py"),
    r"(\w+=\S+ )*python -m verl\.trainer\.main_ppo.*": ("trains; composed here", RECIPES),
    r"(\w+=\S+ )*torchrun .*": ("trains", RECIPES),
    r"VLMEVALKIT=.*": ("needs VLMEvalKit and GPUs", EVALUATE),
    r"(export|OPTIONS=|bash recipes/cluster|ray |sbatch|sky|kubectl).*": (
        "needs a cluster",
        CLUSTER,
    ),
}
"""Commands that are tested elsewhere: the reason, and the test."""

SHELLS = ("bash", "console", "sh")


def commands_of(page: Path) -> Iterator[str]:
    """Yield the commands of a page: shell blocks, and command lines of blocks without a language.

    Comments are removed and continued lines joined.
    """
    text = page.read_text("utf-8")
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            bare = re.sub(r"\s+#\s.*$", "", line).strip().removeprefix("$ ")
            is_command = language in SHELLS or re.match(r"(rewardmap|make|python) ", bare)
            if bare and is_command and not bare.startswith("#"):
                yield " ".join(bare.split())


ALL = [(page.relative_to(ROOT).as_posix(), one) for page in PAGES for one in commands_of(page)]


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
    """A working directory with everything that the commands of the pages assume."""
    folder = tmp_path_factory.mktemp("docs")
    for name in ("synthetic", "my-cities", "rewardmap"):
        shutil.copytree(prepared, folder / "data" / name)
    for name in ("synthetic", "first", "second", "rewardmap", "baseline"):
        run = folder / "runs" / name
        shutil.copytree(run_folder, run / "checkpoints")
        (run / "merged").mkdir()
        (run / "merged" / "config.json").write_text("{}", "utf-8")
    lines = [
        {"gts": record.truth.to_json(), "input": record.text, "output": record.answer}
        for record in list(read_prepared_questions(prepared, "test"))[:4]
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "answers.jsonl").write_text(text, "utf-8")
    own_city(folder / "my-cities")
    return folder


def own_city(folder: Path) -> None:
    """Write two small cities in the layout that the pages describe."""
    for city in ("lisboa", "porto"):
        lines = {
            f"Line {line}": [f"Stop {line}{place}" for place in range(5)] + ["Centre"]
            for line in range(1, 5)
        }
        stations = folder / "stations" / "portugal" / f"{city}.json"
        stations.parent.mkdir(parents=True, exist_ok=True)
        stations.write_text(json.dumps(lines), "utf-8")
        image = folder / "maps" / "portugal" / f"{city}.png"
        image.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (300, 200), "white").save(image)


@pytest.mark.parametrize(("page", "command"), dict.fromkeys(ALL))
def test_a_command_runs_or_is_tested_elsewhere(
    page: str, command: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    words = shlex.split(command)
    if is_run(command):
        done = CliRunner().invoke(app, words[1:])
        assert done.exit_code == 0, f"{command}\n{done.output}"
        return
    if re.fullmatch(PREVIEW, command):
        return  # test_a_curriculum_preview_runs_on_the_data_of_the_quick_start
    assert elsewhere(command), (
        f"{page} has a command that no test runs: {command}\nAdd it to RUN, or to ELSEWHERE with "
        "the test that covers it."
    )
    check_form(words)


@pytest.fixture(scope="module")
def quick_start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with the data of the quick start, prepared by its own command."""
    folder = tmp_path_factory.mktemp("quick-start")
    (command,) = (one for page, one in ALL if page == "docs/quick-start.md" and " prepare " in one)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        done = CliRunner().invoke(app, shlex.split(command)[1:])
    assert done.exit_code == 0, done.output
    (folder / "data" / "rewardmap").symlink_to(folder / "data" / "synthetic")
    return folder


@pytest.mark.parametrize(
    "command", dict.fromkeys(one for _, one in ALL if re.fullmatch(PREVIEW, one))
)
def test_a_curriculum_preview_runs_on_the_data_of_the_quick_start(
    command: str, quick_start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(quick_start)
    done = CliRunner().invoke(app, shlex.split(command)[1:])
    assert done.exit_code == 0, f"{command}\n{done.output}"
    if "[cpu,pocket]" in command:  # the run that README describes
        steps = re.search(r"trains for (\d+) steps", README.read_text("utf-8"))
        assert steps is not None and f"{steps[1]} steps" in done.output


def check_form(words: list[str]) -> None:
    """Check options, arguments, targets and overrides of a command that is not run."""
    if words[0] == "rewardmap":
        assert words[1] in COMMANDS
        parse(app, words[1:])
    elif words[:3] == ["python", "-m", "benchmarks.evidence"]:
        parse(evidence_app, words[3:])
    elif words[0] == "make":
        for line in dry_run(words[1:]):
            parse(app, shlex.split(line)[1:])
    elif "verl.trainer.main_ppo" in words and "ray" not in words:
        behind = words[words.index("verl.trainer.main_ppo") + 1 :]
        overrides = [word for word in behind if "=" in word]
        assert read_curriculum(compose_run(overrides).data).stages


def parse(program: typer.Typer, words: list[str]) -> None:
    """Parse a command line without running it; an unknown command or option is an error."""
    command = typer.main.get_command(program)
    context = command.make_context("program", list(words), resilient_parsing=True)
    while words and hasattr(command, "resolve_command"):
        name, command, words = command.resolve_command(context, words)
        assert command is not None, name
        context = typer.Context(command, info_name=name, resilient_parsing=True)
    if words:
        command.make_parser(context).parse_args(list(words))


def dry_run(words: list[str]) -> list[str]:
    """Return the `rewardmap` commands that a make target would run."""
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", "--directory", ROOT, *words],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip().startswith("rewardmap ")]


def test_every_entry_is_used_and_names_an_existing_test() -> None:
    commands = [command for _, command in ALL]
    for pattern in RUN:
        assert any(re.fullmatch(pattern, command) for command in commands), pattern
    for pattern, (reason, test) in ELSEWHERE.items():
        file, _, name = test.partition("::")
        path = ROOT / "tests" / file
        assert reason and path.exists(), test
        assert not name or f"def {name}(" in path.read_text("utf-8"), test
        used = any(re.fullmatch(pattern, command) for command in commands)
        assert used, f"no page has such a command: {pattern}"


def inline_code(page: Path) -> Iterator[str]:
    """Yield the inline code spans of a page, with line breaks as spaces."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S)
    for span in re.findall(r"`([^`]+)`", text):
        yield " ".join(span.split())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_within_sentences_parse(page: Path) -> None:
    for span in inline_code(page):
        words = span.replace("…", "").split()
        if span.startswith("rewardmap ") and words[1] in COMMANDS:
            parse(app, words[1:])
        elif span.startswith("python -m benchmarks.evidence"):
            parse(evidence_app, words[3:])
        elif span.startswith("make "):
            targets = (ROOT / "Makefile").read_text("utf-8")
            assert re.search(rf"^{re.escape(words[1])}:", targets, re.M), span
        elif re.match(r"python (docs|benchmarks|data_prep)/", span):
            script = ROOT / words[1]
            assert all(word in script.read_text("utf-8") for word in words if word[:2] == "--")


# Links and quoted texts


def links_of(page: Path) -> Iterator[Path]:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if "://" not in target and not target.startswith("mailto:"):
            yield page.parent / target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_link_targets_exist(page: Path) -> None:
    assert [str(target) for target in links_of(page) if not target.exists()] == []


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.parent == ROOT / "docs"], ids=lambda page: page.name
)
def test_pages_of_the_site_link_within_the_site(page: Path) -> None:
    folder = (ROOT / "docs").resolve()
    assert [str(one) for one in links_of(page) if not one.resolve().is_relative_to(folder)] == []


def test_files_that_the_pages_name_exist() -> None:
    roots = (ROOT, ROOT / "rewardmap_verl", ROOT / "recipes")
    for page in PAGES:
        for span in inline_code(page):
            match = re.fullmatch(r"([\w.-]+/[\w./-]+\.(?:py|yaml|sh|json|md|ttf))(?:::\w+)?", span)
            if match and not match[1].startswith(("data/", "runs/", "maps/", "stations/")):
                assert any((root / match[1]).exists() for root in roots), f"{page.name}: {span}"


def text_of(node: ast.AST) -> str | None:
    """Return a string of the source, with "…" for each inserted value."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values
        )
    if isinstance(node, ast.BinOp):
        left, right = text_of(node.left), text_of(node.right)
        return (left or "") + (right or "") or None
    return None


@pytest.fixture(scope="module")
def messages() -> str:
    """Every string in the source of the package."""
    found = [
        text
        for path in sorted((ROOT / "rewardmap_verl").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if (text := text_of(node))
    ]
    return "\n".join(found)


OF_OTHERS = ("Could not find 'recipe/rewardmp'",)
"""Quoted messages of Hydra."""


@pytest.mark.parametrize(
    ("name", "at_least"), [("docs/faq.md", 25), ("README.md", 5), ("docs/evaluation.md", 7)]
)
def test_quoted_messages_are_those_of_the_program(name: str, at_least: int, messages: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    tables = re.findall(r"^\| message \|.*\n(?:\|.*\n)+", text, re.M)
    rows = re.findall(r"^\| (`.*?) \|", "".join(tables), re.M)
    assert len(rows) >= at_least
    for row in rows:
        for quoted in re.findall(r"`([^`]+)`", row):
            if quoted in OF_OTHERS:
                continue
            for piece in quoted.split("…"):
                assert piece.strip(" ,.;") in messages, f"nothing says {piece!r}, of {quoted!r}"


def test_the_readme_states_the_number_of_patches() -> None:
    from rewardmap_verl.verl_plugin.patches import ALL_PATCHES

    statement = f"no fork and no vendored file; {len(ALL_PATCHES)} runtime patches, listed in"
    assert statement in " ".join(README.read_text("utf-8").split())


# Shown results


def load_script(name: str) -> ModuleType:
    """Import a script of docs/."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_table_of_the_pictures_page_is_computed_by_the_code() -> None:
    module = load_script("reward_pictures")
    _, _, _, answers = module.five_answers()
    assert module.table(answers) in (ROOT / "docs" / "reward-pictures.md").read_text("utf-8")


# Language

NOT_OF_THE_FIELD = re.compile(
    r"\bmend(s|ed|ing)?\b|the way of\b|\b(is|are) (told|said)\b|\bbut for\b|\ball else\b"
    r"|\ba look at\b|\bgo(es)? on\b|\bso (many|much)\b|\bof its own\b|\bon demand\b|\bweighed\b"
    r"|\btaught to\b|\bon purpose\b|\b(colour|neighbour|licence|behaviour|centred)",
    re.IGNORECASE,
)
"""Phrases that the pages replace by the terms of the field, and British spellings."""


@pytest.mark.parametrize(
    "page",
    [*PAGES, ROOT / "Makefile", *sorted((ROOT / "recipes").rglob("*.yaml"))],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_pages_use_the_terms_of_the_field(page: Path) -> None:
    text = " ".join(page.read_text("utf-8").split())
    assert [match[0] for match in NOT_OF_THE_FIELD.finditer(text)] == []
