r"""Reading yes or no, a letter and a number: what is accepted, what is refused, what is exact."""

from __future__ import annotations

import pytest

from rewardmap_verl.questions.types import QuestionType as T
from rewardmap_verl.rewards.short_answer import AnswerSource, last_box, read_short_answer

LIMIT = 65_536


def read(text: object, kind: T) -> int | None:
    return read_short_answer(text, kind, LIMIT).value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"\boxed{yes}", 1),
        (r"\boxed{No}", 0),
        (r"\boxed{YES}", 1),
        (r"\boxed{Yes.}", 1),
        (r"\boxed{no!}", 0),
        (r"\boxed{yes...}", 1),
        (r"\boxed{\text{yes}}", 1),
        (r"\boxed{\text{ no }}", 0),
        (r"\boxed{\textbf{\text{yes}}}", 1),
        (r"\boxed{$yes$}", 1),
        (r"$\boxed{no}$", 0),
        (r"\boxed{**yes**}", 1),
        (r"**\boxed{yes}**", 1),
        (r'\boxed{"yes"}', 1),
        (r"\boxed{(no)}", 0),
        (r"\boxed{{yes}}", 1),
        (r"\boxed{ {\text{yes}} }", 1),
        (r"\boxed{answer = yes}", 1),
        (r"\boxed {yes}", 1),
        (r"\boxed{ｎｏ}", 0),
        ("\\boxed{\u200bno}", 0),
        ("\\boxed{\u00a0yes\u00a0}", 1),
        ("\\boxed{\r\nyes\r\n}", 1),
        ("The answer is yes.", 1),
        ("the correct answer is: **no**", 0),
        ("Therefore the answer is:\nno", 0),
        ("Final answer: yes", 1),
        ("答案是no。", 0),
        ("yes", 1),
        ("**No.**", 0),
        ("```\nyes\n```", 1),
        ("<answer>yes</answer>", 1),
        ("\x08oxed{yes}", 1),
        (r"\boxed{True}", 1),
        (r"\boxed{false.}", 0),
        (r"\boxed{是}", 1),
        (r"\boxed{不是。}", 0),
        (r"\fbox{yes}", 1),
        (r"\framebox{\text{no}}", 0),
        (r"\boxed{no}<|im_end|>", 0),
        ("yes<|endoftext|>", 1),
        ("<s>no</s>", 0),
        ("<｜Assistant｜>no<｜end▁of▁sentence｜>", 0),
        ("<|begin_of_box|>yes<|end_of_box|>", 1),
        ("<answer><|begin_of_box|>no<|end_of_box|></answer>", 0),
        ("<final_answer>The answer is no.</final_answer>", 0),
        ("◁think▷yes◁/think▷no", 0),
        ('{"reasoning": "both are on Line 1, so", "answer": "no"}', 0),
        ('```json\n{"answer": true}\n```', 1),
        ("Both are on Line 1.\n\n**Yes**", 1),
    ],
)
def test_yes_and_no_are_read(text: str, value: int) -> None:
    assert read(text, T.TORF1) == value
    assert read(text, T.TORF2) == value


@pytest.mark.parametrize(
    "text",
    [
        r"\boxed{yes or no}",
        r"\boxed{yes/no}",
        r"\boxed{not yes}",
        r"\boxed{yesyes}",
        r"\boxed{yes, no}",
        r"\boxed{yes = no}",
        r"\boxed{1}",
        r"\boxed{y}",
        r"\boxed{maybe}",
        r"\boxed{}",
        r"\boxed{yes",
        r"\boxed yes",
        r"no \boxed{}",
        "Yes, according to the map.",
        "Yes and no.",
        "yes no",
        "There are no lines. I see yes.",
        "The answer is yes, it is.",
        "The answer is not yes.",
        r"<think>\boxed{yes}</think>",
        r"<think>I guess \boxed{yes}",
        "<think>The answer is yes.</think>",
        "<b>yes</b>",
        "◁think▷yes◁/think▷",
        r"◁think▷ I guess \boxed{yes}",
        "[THINK]yes",
        "<|begin_of_thought|>yes<|end_of_thought|>",
        "<answer>yes or no</answer>",
        r"\boxed{yes} <answer>no, or rather yes</answer>",
        '{"answer": ["yes", "no"]}',
        '{"answer": "yes or no"}',
        "yes\nno",
        "yes\nI mean:\nno",
        "",
        " \n\t ",
        None,
        b"\\boxed{yes}",
        1,
        True,
        ["\\boxed{yes}"],
        {"answer": "yes"},
    ],
)
def test_what_is_not_clearly_yes_or_no_is_refused(text: object) -> None:
    assert read(text, T.TORF1) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"\boxed{A}", 0),
        (r"\boxed{d}", 3),
        (r"\boxed{B) 12}", 1),
        (r"\boxed{B. 12}", 1),
        (r"\boxed{B: 12 stops}", 1),
        (r"\boxed{(B)}", 1),
        (r"\boxed{(B) 12}", 1),
        (r"\boxed{\text{C) 4}}", 2),
        (r"\boxed{C 4}", 2),
        (r"\boxed{D = 4}", 3),
        (r"\boxed{15 = B}", 1),
        (r"\boxed{Option C}", 2),
        (r"\boxed{Ａ}", 0),
        ("It is a long way. \\boxed{B.}", 1),
        ("A) is wrong, B) is wrong. \\boxed{C}", 2),
        ("The answer is B) 8.", 1),
        ("The answer is option D.", 3),
        ("So the answer is **B**", 1),
        ("C)", 2),
        ("**A)** 5", 0),
        ("答案是D", 3),
        ("<|begin_of_box|>C<|end_of_box|>", 2),
        ("<think>A</think><answer>C</answer>", 2),
        (r"\boxed{A} <answer>C</answer>", 2),
        (r"<answer>C</answer> \boxed{A}", 0),
        (r"\fbox{D}", 3),
        ('{"answer": "B"}', 1),
        ("I count 3 stops.\nC", 2),
    ],
)
def test_letters_are_read(text: str, value: int) -> None:
    assert read(text, T.COUNTING1) == value


@pytest.mark.parametrize(
    "text",
    [
        r"\boxed{AB}",
        r"\boxed{A, B}",
        r"\boxed{A or B}",
        r"\boxed{D/C}",
        r"\boxed{A B}",
        r"\boxed{A-C}",
        r"\boxed{A = B}",
        r"\boxed{E}",
        r"\boxed{2}",
        r"\boxed{А}",  # the Cyrillic letter
        r"\boxed{A line}",
        "There is a line between the two stops.",
        "A line runs there.",
        "A",
        "Counting gives 3 stops. So C",
        "I think the answer is C, as the legend shows.",
        "A\nB\nC\nD",
        "A) 3\nB) 5\nC) 7\nD) 9",
        '{"answer": "B or C"}',
        "<answer>B or C</answer>",
        "<think>C</think>",
    ],
)
def test_two_letters_ranges_and_articles_are_refused(text: str) -> None:
    expected = 0 if text == "A" else None  # a text of one letter is that letter, in prose it is not
    assert read(text, T.COUNTING1) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"\boxed{5}", 5),
        (r"\boxed{05}", 5),
        (r"\boxed{5.0}", 5),
        (r"\boxed{5.}", 5),
        (r"\boxed{+5}", 5),
        (r"\boxed{-5}", -5),
        (r"\boxed{5 lines}", 5),
        (r"\boxed{5\text{ lines}}", 5),
        (r"\boxed{\text{5 lines}}", 5),
        (r"\boxed{5 (see the legend)}", 5),
        (r"\boxed{3条}", 3),
        (r"\boxed{14m^3}", 14),
        (r"\boxed{11^\circ}", 11),
        (r"\boxed{４}", 4),
        (r"\boxed{٤}", 4),
        (r"\boxed{x = 3}", 3),
        (r"\boxed{2+1=3}", 3),
        (r"\boxed{\approx 3}", 3),
        (r"\boxed{[2]}", 2),
        (r"\boxed{#2}", 2),
        (r"\boxed{0}", 0),
        ("The answer is **6** lines.", 6),
        ("total = 3", 3),
        ("18.0", 18),
        ("Line 1 and Line 2 meet there. The answer is 4.", 4),
        (r"\boxed{three}", 3),
        (r"\boxed{Twenty-one lines}", 21),
        (r"\boxed{\text{twelve}}", 12),
        (r"\boxed{三}", 3),
        (r"\boxed{十二条线}", 12),
        (r"\boxed{二十一}", 21),
        ("The answer is four.", 4),
        ("<answer>5</answer>", 5),
        ("<|begin_of_box|>5<|end_of_box|>", 5),
        ('{"answer": 5}', 5),
        ('{"lines": [1, 2], "final_answer": "5 lines", "sure": true}', 5),
        ("1. Red line\n2. Blue line\n\n2", 2),
    ],
)
def test_numbers_are_read(text: str, value: int) -> None:
    assert read(text, T.COUNTING2) == value
    assert read(text, T.COUNTING3) == value


@pytest.mark.parametrize(
    "text",
    [
        r"\boxed{5-7}",
        r"\boxed{5–7}",
        r"\boxed{5 to 7}",
        r"\boxed{5 or 7}",
        r"\boxed{5 or six}",
        r"\boxed{5, 7}",
        r"\boxed{5 7}",
        r"\boxed{5.5}",
        r"\boxed{.5}",
        r"\boxed{4,000}",
        r"\boxed{6/2}",
        r"\boxed{2+1}",
        r"\boxed{2*3}",
        r"\boxed{2**3}",
        r"\boxed{2^3}",
        r"\boxed{2²}",
        r"\boxed{²}",
        r"\boxed{3e0}",
        r"\boxed{0x3}",
        r"\boxed{0_1}",
        r"\boxed{\frac{14}{2}}",
        r"\boxed{\sqrt{9}}",
        r"\boxed{11\times 1}",
        r"\boxed{3rd}",
        r"\boxed{nan}",
        r"\boxed{inf}",
        r"\boxed{∞}",
        r"\boxed{" + "9" * 5000 + "}",
        r"\boxed{one or two}",
        r"\boxed{5 six}",
        r"\boxed{十十}",
        r"\boxed{一共三条}",
        "One cannot tell.",
        "There are 5 lines.",
        "Line 9: 1",
        "2\n3",
        '{"answer": [5]}',
        "1 4",
    ],
)
def test_what_is_no_single_whole_number_is_refused(text: str) -> None:
    assert read(text, T.COUNTING2) is None


def test_the_last_box_counts() -> None:
    assert read(r"\boxed{2} no, \boxed{3}", T.COUNTING2) == 3
    assert read(r"\boxed{2}. The answer is 5.", T.COUNTING2) == 2
    assert read(r"\boxed{2} as asked in \boxed{}", T.COUNTING2) == 2
    assert read(r"\boxed{a \boxed{4}", T.COUNTING2) == 4
    assert read(r"{{{ \boxed{4}", T.COUNTING2) == 4
    assert read(r"}}} \boxed{4} }}}", T.COUNTING2) == 4
    assert read(r"\boxed{\{4\}}", T.COUNTING2) == 4


def test_a_readable_box_does_not_stand_in_for_the_last_one() -> None:
    assert read(r"\boxed{2} or rather \boxed{many}", T.COUNTING2) is None


def test_a_final_answer_goes_before_another_statement() -> None:
    assert read("The final answer is 1. In short the answer is 4.", T.COUNTING2) == 1
    assert read("The answer is 1. Wait, the answer is 4.", T.COUNTING2) == 4


def test_thinking_holds_no_answer() -> None:
    assert read(r"<think>\boxed{1}</think><answer>\boxed{2}</answer>", T.COUNTING2) == 2
    assert read(r"\boxed{1}</think>\boxed{2}", T.COUNTING2) == 2
    assert read(r"\boxed{1}</think>", T.COUNTING2) is None
    assert read(r"\boxed{1}<think>\boxed{2}</think>", T.COUNTING2) == 1
    assert read(r"<think>a<think>b</think>\boxed{2}", T.COUNTING2) == 2
    assert read(r"<THINK>\boxed{1}</THINK>", T.COUNTING2) is None


def test_only_the_asked_form_is_exact() -> None:
    def exact(text: str, kind: T) -> bool:
        return read_short_answer(text, kind, LIMIT).exact

    assert exact(r"I count them: \boxed{5}", T.COUNTING2)
    assert exact(r"\boxed{ Yes }", T.TORF1)
    assert exact(r"\boxed{b}", T.COUNTING1)
    assert exact(r"\boxed{5} and again \boxed{5}", T.COUNTING2)
    assert exact(r"<think>\boxed{4}</think>\boxed{5}", T.COUNTING2)
    for text in (r"\boxed{5 lines}", r"\boxed{5.0}", r"\boxed {5}", r"\boxed{5.}", "5"):
        assert read(text, T.COUNTING2) == 5
        assert not exact(text, T.COUNTING2), text
    assert not exact(r"\boxed{4} \boxed{5}", T.COUNTING2)
    assert not exact(r"\boxed{1} \boxed{15}", T.COUNTING2)


def test_the_source_of_the_answer_is_reported() -> None:
    places = {
        r"\boxed{5}": AnswerSource.BOX,
        r"\boxed{many}": AnswerSource.BOX,
        "The answer is 5.": AnswerSource.SENTENCE,
        "5": AnswerSource.BARE,
        "no idea": AnswerSource.NONE,
    }
    for text, place in places.items():
        assert read_short_answer(text, T.COUNTING2, LIMIT).source is place


def test_a_box_may_hold_braces() -> None:
    box = last_box(r"\boxed{a {b} c}")
    assert box is not None
    assert box.content == "a {b} c"
    assert last_box("no box {here}") is None


def test_of_an_overlong_text_the_end_is_read_and_then_the_beginning() -> None:
    filler = "and so on " * 200_000
    assert read(filler + r"\boxed{5}", T.COUNTING2) == 5
    assert read(r"\boxed{5}" + filler, T.COUNTING2) == 5
    assert read(r"\boxed{4}" + filler + r"\boxed{5}", T.COUNTING2) == 5
    assert read(filler + r"\boxed{5}" + filler, T.COUNTING2) is None
    assert read(r"\boxed{5}" + " \n" * 500_000, T.COUNTING2) == 5
    assert read("<think>" + filler + r"</think>\boxed{5}", T.COUNTING2) == 5


LINES = ["Red Line", "Line 1", "Line 11", "Line 2"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"\boxed{B}", 1),
        (r"\boxed{Line 1}", 1),
        (r"\boxed{\text{Line 11}}", 2),
        (r"\boxed{1号线}", 1),
        (r"\boxed{B) Line 1}", 1),
        (r"\boxed{The Red Line}", 0),
        (r"\boxed{A. Red Line}", 0),
        ("<answer>Line 2</answer>", 3),
        (r"\boxed{A) Line 1}", None),
        (r"\boxed{Line 1 or Line 2}", None),
        (r"\boxed{Line 3}", None),
        (r"\boxed{a line}", None),
    ],
)
def test_an_option_may_be_given_by_its_name(text: str, value: int | None) -> None:
    assert read_short_answer(text, T.JOINING_LINE, LIMIT, LINES).value == value


def test_the_number_of_an_option_is_not_its_letter() -> None:
    assert read_short_answer(r"\boxed{7}", T.COUNTING1, LIMIT, [3, 5, 7, 9]).value is None
