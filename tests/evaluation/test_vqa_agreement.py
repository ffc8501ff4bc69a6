"""Where our verdict on short answers differs from VLMEvalKit's, row by row, and why.

``cases_public.jsonl`` holds what VLMEvalKit's class ReasonMap_Plus says about each short answer.
Our verdict is the reward's, so that training, validation and evaluation are one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rewardmap_verl.errors import DataError
from rewardmap_verl.rewards.score import GroundTruth, RewardConfig, score_answer

Case = dict[str, Any]


@dataclass(frozen=True)
class Family:
    """Kinds of answers that are judged otherwise, for one reason."""

    reason: str
    ours: object
    tags: frozenset[str]


def family(reason: str, ours: object, tags: str) -> Family:
    return Family(reason, ours, frozenset(f"vqa:{tag}" for tag in tags.split()))


FAMILIES = {
    "yes and no with markup": family(
        "VLMEvalKit takes letters and numbers out of whatever surrounds them, and compares yes and "
        "no as they stand: a bracket, LaTeX, bold type, a full stop makes them wrong. Ours takes "
        "dress off all answers alike.",
        True,
        "ans_equals answer_should_be answer_tag bare_bold bare_cap_dot box_approx "
        "box_backslash_space box_bracket box_comma box_dollar_inside box_double_brace box_dquote "
        "box_eq_inside box_excl box_left_right box_negthin box_paren box_percent box_quote "
        "box_space_brace box_thinspace boxed_bold_inside boxed_dot_inside code_fence "
        "colon_in dotted emoji fbox final_answer_colon leading_colon "
        "mathrm_wrap oxed phrase_colon_newline phrase_quote text_wrap text_wrap_space textbf_wrap "
        "the_answer_is_bold yes_spaced zero_width",
    ),
    "other scripts": family(
        "Full-width letters and full stops, and the Chinese for 'the answer is', mean the same.",
        True,
        "chinese_plain fullwidth fullwidth_stop",
    ),
    "abbreviations of yes and no": family(
        "The question asks for yes or no, and true and false mean the same. VLMEvalKit also takes "
        "t, y and 1; the released evaluation and ours do not.",
        False,
        "T_F num_truth one_zero y_n",
    ),
    "words and JSON": family(
        "Numbers and truth values as words or in Chinese, and an answer in JSON, mean the same.",
        True,
        "chinese_digits json shi_fou word",
    ),
    "the first letter or number anywhere": family(
        "Where it finds no answer it takes the first letter from A to D, or the first digits, of "
        "the whole text, also of a list, a range, a fraction or prose that names several. What "
        "leaves a choice open, or must be calculated, is no answer.",
        False,
        "bare_sentence_end both both_bare box_empty box_no_brace boxed_space_between_digits "
        "decimal_point_first exp fullwidth_minus html letter_slash list phrase_inline "
        "range sentence sentence_two sqrt_frac2 therefore_letter thousand times two_letters_comma "
        "unclosed_box",
    ),
    "the result of a sum": family(
        "'2+1=3' says 3; VLMEvalKit takes the first number.", True, "sum_eq"
    ),
    "a number of 5,000 digits": family(
        "It ends with Python's ValueError; here it is a wrong answer.", False, "huge"
    ),
}


@pytest.fixture(scope="module")
def differing(shared_data: Path) -> list[tuple[Case, object]]:
    """Rows that VLMEvalKit judged and we judge otherwise, with our verdict."""
    text = (shared_data / "cases_public.jsonl").read_text(encoding="utf-8")
    cases = [json.loads(line) for line in text.splitlines()]
    judged = [c for c in cases if c["vlmeval_correct"] is not None or c["vlmeval_exception"]]
    found = [(case, ours(case)) for case in judged]
    assert len(found) > 400
    return [(c, verdict) for c, verdict in found if verdict != theirs(c)]


def theirs(case: Case) -> bool | None:
    return None if case["vlmeval_correct"] is None else bool(case["vlmeval_correct"])


def ours(case: Case) -> bool | str:
    try:
        truth = GroundTruth.from_row(case, case["id"])
    except DataError:
        return "fault"
    return score_answer(case["response"], truth, None, RewardConfig()).acc == 1.0


def family_of(case: Case) -> str | None:
    return next((name for name, one in FAMILIES.items() if case["tag"] in one.tags), None)


def test_every_difference_is_in_a_family_with_our_verdict(
    differing: list[tuple[Case, object]],
) -> None:
    unexplained = []
    for case, verdict in differing:
        name = family_of(case)
        if verdict == "fault":
            assert case["tag"].startswith("odd:"), case["id"]
        elif name is None or FAMILIES[name].ours != verdict:
            unexplained.append((case["id"], case["tag"], verdict))
    assert unexplained == []


def test_every_tag_of_a_family_is_needed(differing: list[tuple[Case, object]]) -> None:
    tags = {case["tag"] for case, _ in differing}
    assert {tag for one in FAMILIES.values() for tag in one.tags} - tags == set()


def test_only_dressed_yes_and_no_differ_among_true_and_false(
    differing: list[tuple[Case, object]],
) -> None:
    """Both read numbers and letters with markup."""
    dressed = [c for c, _ in differing if family_of(c) == "yes and no with markup"]
    assert {case["type"] for case in dressed} == {"TorF1", "TorF2"}
