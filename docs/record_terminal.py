"""Record commands in a terminal: an asciinema cast, and a picture of it for the README.

Runs the commands for real, in the current folder and without a TTY, so that progress is shown as
lines. By default these are a newcomer's first commands in a fresh clone:

    python docs/record_terminal.py docs/images/first-run
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

ANSWERS = "runs/synthetic/checkpoints/validation/0.jsonl"
COMMANDS = (
    "make train",
    ". .venv/bin/activate",
    "rewardmap report runs/synthetic",
    f"rewardmap explain {ANSWERS} --networks data/synthetic/networks",
)
WIDTH = 110
LONGEST = 40
"""Lines of one command that the picture shows; of more, it shows the first and the last."""


@dataclass(frozen=True, slots=True)
class Output:
    """A command and its output."""

    command: str
    lines: tuple[tuple[float, str], ...]
    """Seconds since the start of the recording, and the line."""
    code: int


def record(commands: Sequence[str]) -> Iterator[Output]:
    """Run commands in one shell each, with the programs of the environment first."""
    programs = f"{Path('.venv/bin').resolve()}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": programs, "COLUMNS": str(WIDTH)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    began = time.monotonic()
    for command in commands:
        lines = [(time.monotonic() - began, f"$ {command}")]
        with subprocess.Popen(
            ["bash", "-c", command],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as program:
            for line in program.stdout or ():
                lines.append((time.monotonic() - began, line.rstrip("\n")))
        yield Output(command, tuple(lines), program.returncode)


def cast(outputs: Sequence[Output]) -> str:
    """Return an asciinema cast, version 2; its player shortens pauses to a second."""
    header = {"version": 2, "width": WIDTH, "height": 32, "idle_time_limit": 1.0}
    events = [[round(at, 2), "o", f"{line}\r\n"] for one in outputs for at, line in one.lines]
    return "\n".join(json.dumps(one, ensure_ascii=False) for one in [header, *events]) + "\n"


def picture(outputs: Sequence[Output], title: str) -> str:
    """Return the terminal as SVG."""
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True)
    for one in outputs:
        (_, prompt), *lines = one.lines
        console.print(Text(prompt, style="bold green", overflow="ellipsis", no_wrap=True))
        for line in shortened([line for _, line in lines]):
            text = Text.from_ansi(line)
            text.overflow, text.no_wrap = "ellipsis", True
            console.print(text)
    svg = console.export_svg(title=title)
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # they are on a server


def shortened(lines: Sequence[str]) -> list[str]:
    """Return the lines, or the first and last of many."""
    if len(lines) <= LONGEST:
        return list(lines)
    half = LONGEST // 2
    return [*lines[:half], f"⋮ {len(lines) - LONGEST} more lines", *lines[-half:]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Record and write NAME.cast and NAME.svg; returns 1 if a command fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", type=Path, help="files to write, without .cast and .svg")
    parser.add_argument("commands", nargs="*", default=COMMANDS, help="commands to record instead")
    given = parser.parse_args(arguments)
    outputs = list(record(given.commands))
    if failed := [one for one in outputs if one.code]:
        print(f"{failed[0].command} ended with exit code {failed[0].code}; nothing was written.")
        print("\n".join(line for _, line in failed[0].lines[-15:]))
        return 1
    given.name.with_suffix(".cast").write_text(cast(outputs), "utf-8")
    given.name.with_suffix(".svg").write_text(picture(outputs, "rewardmap-verl"), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
