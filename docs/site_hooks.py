"""MkDocs hooks: generate the home page and the reference pages from README, code and YAML.

Nothing that is generated here is tracked, so no reference page can be out of date.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
RECIPES = ROOT / "recipes" / "recipe"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those found under ``docs/``."""
    for path, text in generated_pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def generated_pages() -> Mapping[str, str]:
    """Return the text of every generated page by its path on the site."""
    return {
        "index.md": home_page((ROOT / "README.md").read_text(encoding="utf-8")),
        "recipes.md": recipes_page((ROOT / "recipes" / "README.md").read_text(encoding="utf-8")),
        "examples.md": examples_page((ROOT / "examples" / "README.md").read_text(encoding="utf-8")),
        "changelog.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
        "reference/commands.md": command_reference(),
        "reference/options.md": option_reference(RECIPES / "rewardmap"),
        "reference/configuration.md": configuration_reference(RECIPES / "rewardmap.yaml"),
    }


def home_page(readme: str) -> str:
    """Return the README with its links rewritten for the site, and without badges."""
    text = re.sub(r"^\[!\[.*\n", "", readme, flags=re.MULTILINE)
    text = text.replace("](docs/", "](").replace("](recipes/README.md)", "](recipes.md)")
    text = text.replace("](examples/README.md)", "](examples.md)")
    text = text.replace("](CHANGELOG.md)", "](changelog.md)")
    text = re.sub(r"\[([^]]+)\]\((?:CONTRIBUTING\.md|CITATION\.cff|LICENSE)\)", r"\1", text)
    return re.sub(
        r"\[([^]]+)\]\((recipes/recipe/rewardmap\.yaml)\)",
        r"[\1](reference/configuration.md)",
        text,
    )


def recipes_page(readme: str) -> str:
    """Return the README of ``recipes/`` with its links rewritten for the site."""
    text = readme.replace("](../docs/", "](").replace("](../examples/README.md)", "](examples.md)")
    return re.sub(r"\]\((?:recipe/)?rewardmap\.yaml\)", "](reference/configuration.md)", text)


def examples_page(readme: str) -> str:
    """Return the README of ``examples/``, whose files are not on the site."""
    text = readme.replace("](../docs/", "](")
    return re.sub(r"\[([^]]+)\]\([^)]+\.(?:yaml|ipynb)\)", r"`\1`", text)


def command_reference() -> str:
    """Return one section for each command of ``rewardmap``, taken from the program itself."""
    from rewardmap_verl.commands.main import app

    program = typer.main.get_command(app)
    lines = [
        "# Commands",
        "",
        "Generated from the program. `rewardmap COMMAND --help` shows the same.",
    ]
    for name, command in _subcommands(program):
        lines += _command_section(f"rewardmap {name}", command, level=2)
    return "\n".join(lines) + "\n"


def _subcommands(group: Any) -> Iterator[tuple[str, Any]]:
    context = typer.Context(group)
    for name in group.list_commands(context):
        yield name, group.get_command(context, name)


def _command_section(title: str, command: Any, level: int) -> list[str]:
    help_text = re.sub(r"\x08\n?", "", (command.help or "").strip())
    lines = ["", f"{'#' * level} `{title}`", "", help_text]
    rows = [row for parameter in command.params if (row := _parameter_row(parameter))]
    if rows:
        lines += ["", "| parameter | default | meaning |", "|---|---|---|", *rows]
    if hasattr(command, "list_commands"):
        for name, inner in _subcommands(command):
            lines += _command_section(f"{title} {name}", inner, level + 1)
    return lines


def _parameter_row(parameter: Any) -> str | None:
    if getattr(parameter, "hidden", False) or "--help" in parameter.opts:
        return None
    is_option = any(name.startswith("-") for name in parameter.opts)
    names = (
        [*parameter.opts, *parameter.secondary_opts]
        if is_option
        else [(parameter.metavar or parameter.name).upper()]
    )
    shown = ", ".join(f"`{name}`" for name in names)
    default = "required" if parameter.required else _default(parameter.default)
    text = " ".join((getattr(parameter, "help", None) or "").split()).replace("|", "\\|")
    return f"| {shown} | {default} | {text} |"


def _default(value: Any) -> str:
    if value is None or callable(value) or value in ("", (), []):
        return ""
    return f"`{getattr(value, 'value', value)}`"


def option_reference(folder: Path) -> str:
    """Return one section for each recipe option: what it is for, and the keys that it sets."""
    lines = [
        "# Recipe options",
        "",
        "Generated from `recipes/recipe/rewardmap/`.",
        "Add options to the recipe with `'+recipe/rewardmap=[NAME,NAME]'`.",
    ]
    for path in sorted(folder.glob("*.yaml")):
        head, body = split_head(path.read_text(encoding="utf-8"))
        lines += ["", f"## {path.stem}", "", *head, "", "```yaml", body.strip("\n"), "```"]
    return "\n".join(lines) + "\n"


def split_head(text: str) -> tuple[list[str], str]:
    """Split a recipe into the lines of its leading comment, as Markdown, and its keys."""
    lines = text.splitlines()
    count = next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))
    head = [line.removeprefix("#").removeprefix(" ") for line in lines[:count]]
    head = [line for line in head if not line.startswith("@package")]
    indented = [f"    {line.strip()}" if line.startswith("  ") else line for line in head]
    return indented, "\n".join(lines[count:])


def configuration_reference(path: Path) -> str:
    """Return a table of every key of the main recipe with its value and its comment."""
    lines = [
        "# Configuration",
        "",
        "Generated from `recipes/recipe/rewardmap.yaml`: every key that the recipe sets.",
        "All other keys have verl's defaults.",
        "",
        "| key | value | meaning |",
        "|---|---|---|",
    ]
    for key, value, comment in commented_keys(path.read_text(encoding="utf-8")):
        shown = f"`{value}`".replace("|", "\\|") if value else ""
        meaning = re.sub(r"<(\w+)>", r"&lt;\1&gt;", comment).replace("|", "\\|")
        lines.append(f"| `{key}` | {shown} | {meaning} |")
    return "\n".join(lines) + "\n"


def commented_keys(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield dotted key, value and comment of each leaf of a YAML text with commented keys."""
    path: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            comment.append(stripped.lstrip("# "))
            continue
        match = re.fullmatch(r"( *)([\w.+-]+):(?: (.*))?", line)
        if match:
            depth = len(match[1])
            path = [(indent, name) for indent, name in path if indent < depth]
            path.append((depth, match[2]))
            if match[3]:
                yield ".".join(name for _, name in path), match[3].strip(), " ".join(comment)
        comment = []
