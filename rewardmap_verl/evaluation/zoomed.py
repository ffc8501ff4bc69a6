"""Questions of an evaluation as dialogues with the zoom tool."""

from __future__ import annotations

from typing import Any

from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation.answer_log import LoggedAnswer
from rewardmap_verl.evaluation.questions import EvalQuestion, EvalSet
from rewardmap_verl.inputs.files import check_file
from rewardmap_verl.preparation.originals import original_of
from rewardmap_verl.preparation.paths import inside
from rewardmap_verl.zoom.dialogue import Dialogue
from rewardmap_verl.zoom.settings import ZoomSettings

__all__ = ["check_originals", "logged_dialogue", "start_dialogue"]


def check_originals(questions: EvalSet) -> None:
    """Check that every map of an evaluation has its original.

    Raises:
        DataError: An original is missing.
    """
    for image in {one.image for one in questions.items if one.image is not None}:
        _original(image, questions)


def _original(image: Any, questions: EvalSet) -> str:
    assert questions.folder is not None
    path = inside(questions.folder, original_of(image.name))
    if not path.is_file():
        hint = "Prepare the data again with --keep-originals."
        raise DataError(path, found="no original map", hint=hint)
    check_file(path)
    return str(path)


def start_dialogue(
    question: EvalQuestion,
    questions: EvalSet,
    settings: ZoomSettings,
    messages: list[dict[str, Any]],
    unit: int = 28,
    describe: bool = True,
) -> Dialogue:
    """Return the dialogue of a question. One whose map is masked has no tool.

    Args:
        question: The question.
        questions: The evaluation.
        settings: Budget of the tool.
        messages: The prompt.
        unit: Side of the square of one visual token in pixels.
        describe: Whether the chat template does not describe the tool.
    """
    if question.image is None or question.blank:
        return Dialogue("", settings, unit, messages)
    dialogue = Dialogue(_original(question.image, questions), settings, unit, messages)
    if describe:
        dialogue.describe()
    return dialogue


def logged_dialogue(question: EvalQuestion, dialogue: Dialogue, finish: str) -> LoggedAnswer:
    """Return the last turn as the answer, with the transcript of all turns."""
    several = len(dialogue.turns) > 1
    return LoggedAnswer(
        question.key,
        question.index,
        dialogue.answer,
        dialogue.tokens,
        finish,
        transcript=dialogue.transcript if several else "",
    )
