"""Draw the trajectory in docs/zoom.md: python docs/zoom_picture.py DATA OUTPUT.

DATA is a prepared folder with drawn maps and originals. The turns are those of the planner's trace
of one question; the tool answers them, and the picture shows what it answered.
"""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

from PIL import Image, ImageDraw

from rewardmap_verl.drawing.fonts import font_for
from rewardmap_verl.preparation.manifest import read_manifest
from rewardmap_verl.preparation.originals import original_of
from rewardmap_verl.preparation.records import (
    PreparedQuestion,
    read_networks,
    read_prepared_questions,
)
from rewardmap_verl.transit.planner import Planner
from rewardmap_verl.zoom.crops import original_size
from rewardmap_verl.zoom.dialogue import Dialogue
from rewardmap_verl.zoom.places import read_places
from rewardmap_verl.zoom.reading import reading_steps
from rewardmap_verl.zoom.settings import ZoomSettings
from rewardmap_verl.zoom.traces import TraceMap, zoom_trace
from rewardmap_verl.zoom.turns import Turn, read_turns

COLORS = ("#c2185b", "#00796b", "#f57c00", "#512da8")
WIDTH, COLUMN, GAP, LETTERS = 640, 560, 24, 62
SETTINGS = ZoomSettings(max_pixels=256 * 28**2, min_pixels=64 * 28**2, describe=False)


def play(folder: Path, question: PreparedQuestion) -> Dialogue:
    """Let the tool answer the turns of the question's trace."""
    manifest = read_manifest(folder)
    key = (question.truth.country, question.truth.city)
    (entry,) = (one for one in manifest.maps if (one.country, one.city) == key)
    network = read_networks(folder, manifest)[key]
    original = str(folder / original_of(entry.image))
    place = TraceMap(original_size(original), read_places(folder, entry), 28)
    steps = reading_steps(question.truth, network, Planner(network))
    trace = zoom_trace(question.prompt, steps, question.answer, place, SETTINGS)
    dialogue = Dialogue(original, SETTINGS, 28, [{"role": "user", "content": question.prompt}])
    for message in trace:
        if message.role == "assistant":
            dialogue.take(message.text, None, True)
    return dialogue


def main(folder: Path, output: Path) -> None:
    """Draw the first question of the training split whose route has a transfer."""
    questions = read_prepared_questions(folder, "train")
    question = next(one for one in questions if one.truth.question_transfer_count == 1)
    dialogue = play(folder, question)
    overview = Image.open(question.image_path).convert("RGB")
    overview = overview.resize((WIDTH, round(WIDTH * overview.height / overview.width)))
    draw_boxes(overview, read_turns(dialogue.transcript))
    column = draw_turns(dialogue, question.text)
    size = WIDTH + COLUMN + 3 * GAP, max(overview.height, column.height) + 2 * GAP
    sheet = Image.new("RGB", size, "white")
    sheet.paste(overview, (GAP, GAP))
    sheet.paste(column, (WIDTH + 2 * GAP, GAP))
    sheet.quantize(96).save(output, optimize=True)


def draw_boxes(picture: Image.Image, turns: tuple[Turn, ...]) -> None:
    """Draw the boxes of the calls."""
    pen = ImageDraw.Draw(picture)
    boxes = [turn.box for turn in turns if turn.box]
    for box, color in zip(boxes, COLORS, strict=False):
        corners = box.pixels(*picture.size)
        pen.rectangle(corners, outline=color, width=4)


def draw_turns(dialogue: Dialogue, question: str) -> Image.Image:
    """Draw the conversation, from the question to the answer."""
    font = font_for("".join(question.split()), 15)
    sheet = Image.new("RGB", (COLUMN, 6000), "white")
    pen, y, crops = ImageDraw.Draw(sheet), 0, iter(zip(dialogue.images, COLORS, strict=False))
    turns = read_turns(dialogue.transcript)
    for turn in (Turn("user", question), *turns):
        if turn.box:
            crop, color = next(crops)
            crop = crop.resize((crop.width * 200 // crop.height, 200))
            sheet.paste(crop, (GAP, y))
            pen.rectangle((GAP, y, GAP + crop.width, y + 200), outline=color, width=4)
            y += 206
        said = "\n".join(
            line for part in turn.text.split("\n") for line in textwrap.wrap(part, LETTERS) or [""]
        )
        ink = {"user": "#555555", "tool": "#555555"}.get(turn.speaker, "black")
        pen.multiline_text((GAP if turn.box else 0, y), said, ink, font, spacing=3)
        y += 20 * (said.count("\n") + 1) + 12
    return sheet.crop((0, 0, COLUMN, y))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draw a trajectory that zooms.")
    parser.add_argument("folder", type=Path, help="prepared folder with drawn maps and originals")
    parser.add_argument("output", type=Path, help="PNG file to write")
    arguments = parser.parse_args()
    main(arguments.folder, arguments.output)
