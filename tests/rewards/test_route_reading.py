"""Reading routes: all markup in which a correct route may appear, and its form faults."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardmap_verl.rewards.perfect import write_route
from rewardmap_verl.rewards.routes import FormFault, LegText, read_route

LIMIT = 65_536

PLAIN = (
    "Route Name: Line 1\nDeparture Stop: Acorn Station\nArrival Stop: Birch Station\n--\n"
    "Route Name: Line 2\nDeparture Stop: Birch Station\nArrival Stop: Cedar Station"
)
LEGS = (
    LegText("Line 1", "Acorn Station", "Birch Station"),
    LegText("Line 2", "Birch Station", "Cedar Station"),
)


def read(text: object, form: str = "short", max_legs: int = 128) -> tuple[LegText, ...]:
    return read_route(text, form, LIMIT, max_legs).legs


def form_faults(text: str, form: str = "short") -> set[FormFault]:
    return set(read_route(text, form, LIMIT, 128).form_faults)


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN + "\n",
        "\n\n  " + PLAIN + "  \n",
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("--", "-----"),
        "I look at the map. Line 1 leads there: fine.\n\n" + PLAIN,
        "<think>Route Name: Line 9\nDeparture Stop: A\nArrival Stop: B</think>\n" + PLAIN,
        "--\n" + PLAIN + "\n--",
    ],
)
def test_the_asked_form_is_read_and_exact(text: str) -> None:
    assert read(text) == LEGS
    assert form_faults(text) == set()


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (PLAIN.replace("Stop:", "stop:").replace("Route Name", "route name"), {FormFault.LABELS}),
        (PLAIN.replace("Route Name", "ROUTE NAME"), {FormFault.LABELS}),
        (PLAIN.replace(": ", ":"), {FormFault.LABELS}),
        (PLAIN.replace(": ", " : "), {FormFault.LABELS}),
        (PLAIN.replace(": ", ":\t"), {FormFault.LABELS}),
        (PLAIN.replace(": ", "："), {FormFault.LABELS}),
        (PLAIN.replace(": ", ":\n"), {FormFault.LABELS}),
        (PLAIN.replace("Route Name:", "**Route Name:**"), {FormFault.LABELS}),
        (PLAIN.replace("Route Name:", "**Route Name**:"), {FormFault.LABELS}),
        (PLAIN.replace("Route Name", "- Route Name"), {FormFault.LABELS}),
        (PLAIN.replace("Route Name", "1. Route Name"), {FormFault.LABELS}),
        (PLAIN.replace("Line 1", "**Line 1**"), {FormFault.LABELS}),
        (PLAIN.replace("Acorn Station", '"Acorn Station"'), {FormFault.LABELS}),
        (PLAIN.replace("Acorn Station", "`Acorn Station`."), {FormFault.LABELS}),
        (PLAIN.replace("Birch Station", "[Birch Station]"), {FormFault.LABELS}),
        (PLAIN.replace("Name", "\u00a0Name").replace(" \u00a0", "\u00a0"), set()),
        (PLAIN.replace("--", "—"), {FormFault.LABELS}),
        (PLAIN.replace("--", "-->"), {FormFault.LABELS}),
        (PLAIN.replace("--\n", "\n"), {FormFault.BLOCKS}),
        (PLAIN.replace("--\n", ""), {FormFault.BLOCKS}),
        (PLAIN.replace("\nDep", " Dep").replace("\nArr", ", Arr"), {FormFault.LABELS}),
        (PLAIN + "\nHave a nice trip!", {FormFault.AROUND}),
        (PLAIN.replace("--", "Change here.\n--"), {FormFault.AROUND}),
        (f"```\n{PLAIN}\n```", {FormFault.AROUND}),
        (f"<answer>{PLAIN}</answer>", {FormFault.AROUND}),
        (f"<answer>\n{PLAIN}\n</answer> Bye.", {FormFault.AROUND}),
        (f"\\boxed{{{PLAIN}}}", {FormFault.AROUND, FormFault.LABELS}),
        (PLAIN + "\n--\nRoute Name: Line 3\nDeparture Stop: Cedar Station", {FormFault.FIELDS}),
    ],
)
def test_other_markup_is_read_and_noted(text: str, faults: set[FormFault]) -> None:
    assert read(text) == LEGS
    assert form_faults(text) == faults


def test_cr_alone_ends_a_line() -> None:
    assert read(PLAIN.replace("\n", "\r")) == LEGS


DRAFT = "Route Name: Line 9\nDeparture Stop: Acorn Station\nArrival Stop: Cedar Station"
JSON = (
    '[{"route_name": "Line 1", "departure_stop": "Acorn Station", "arrival_stop": "Birch Station"},'
    ' {"route_name": "Line 2", "departure_stop": "Birch Station", "arrival_stop": "Cedar Station"}]'
)
TABLE = (
    "| Leg | Route Name | Departure Stop | **Arrival Stop** |\n|---|:---|---|---|\n"
    "| 1 | Line 1 | Acorn Station | Birch Station |\n| 2 | Line 2 | Birch Station | Cedar Station |"
)
KEY_VALUE_TABLE = (
    "| Route Name | Line 1 |\n|---|---|\n| Departure Stop | Acorn Station |\n"
    "| Arrival Stop | Birch Station |\n\n| Route Name | Line 2 |\n"
    "| Departure Stop | Birch Station |\n| Arrival Stop | Cedar Station |"
)


@pytest.mark.parametrize(
    "text",
    [
        f"{PLAIN}<|im_end|>",
        f"{PLAIN}<|endoftext|>",
        f"{PLAIN}</s>",
        f"<|begin_of_box|>{PLAIN}<|end_of_box|>",
        f"<|channel|>analysis<|message|>{DRAFT}<|end|><|channel|>final<|message|>{PLAIN}<|return|>",
        f"◁think▷{DRAFT}◁/think▷{PLAIN}",
        PLAIN.replace("Line 1", r"\boxed{Line 1}"),
        PLAIN.replace("Line 1", r"\boxed{\text{Line 1}}"),
        PLAIN.replace("Acorn Station", r"$\mathrm{Acorn Station}$"),
        JSON,
        f'{{"routes": {JSON}, "transfers": 1}}',
        "```json\n" + JSON.replace(", ", ",\n    ").replace("{", "{\n") + "\n```",
        JSON.replace("Acorn", r"\u0041corn"),
        '{"answer": "' + PLAIN.replace("\n", "\\n") + '"}',
        TABLE,
        f"Here is my route:\n\n{TABLE}\n\nHave a nice trip!",
        KEY_VALUE_TABLE,
    ],
)
def test_marks_json_and_tables_are_read(text: str) -> None:
    assert read(text) == LEGS


@pytest.mark.parametrize(
    "text",
    [
        f"{DRAFT}\n\nFinal answer:\n{PLAIN}",
        f"{DRAFT}\n\n**Final Answer**\n\n{PLAIN}",
        f"{DRAFT}\n--\n### Final route\n{PLAIN}",
        f"{DRAFT}\nThe answer is:\n{PLAIN}",
        f"{DRAFT}\nAnswer: {PLAIN}",
        f"{DRAFT}\n最终答案:\n{PLAIN}",
        f"{DRAFT}\n<answer>\n{PLAIN}\n</answer>",
        f"{PLAIN}\nFinal answer:\nRoute Name: Line 9\nDeparture Stop: Acorn",
        f"{PLAIN}\n--\n{PLAIN}",
        f"{PLAIN}\n\n{PLAIN}\n\n{PLAIN.lower()}",
        f"I fill in Route Name: and the two stops.\n\n{PLAIN}",
        f"First I look for the Route Name: it must be Line 9.\n{PLAIN}",
        "Route Name: Line 9, Departure Stop: Acorn Station, Arrival Stop: Elm Station would be"
        f" possible.\n{PLAIN}".replace("Route", "A Route", 1),
    ],
)
def test_the_last_complete_answer_counts(text: str) -> None:
    assert read(text) == LEGS


@pytest.mark.parametrize(
    "text",
    [
        f"{DRAFT}\n--\n{PLAIN}",
        f"{PLAIN}\n--\n{DRAFT}",
        f"{DRAFT}\n\nor\n\n{PLAIN}",
        f"{PLAIN}\n--\n{PLAIN}\n--\n{DRAFT}",
        f"{PLAIN}\nFinal answer:\n{DRAFT}",
        f"<answer>{PLAIN}</answer>\n<answer>{DRAFT}</answer>",
    ],
)
def test_two_different_routes_are_a_hedge_and_the_last_one_counts_where_it_is_marked(
    text: str,
) -> None:
    assert read(text) != LEGS


def test_a_final_answer_and_a_repetition_are_form_faults_only_where_they_surround_the_route() -> (
    None
):
    assert form_faults(f"{DRAFT}\n\nFinal answer:\n{PLAIN}") == set()
    assert form_faults(f"{PLAIN}<|im_end|>") == set()
    assert form_faults(f"{PLAIN}\n--\n{PLAIN}") == {FormFault.AROUND}


@pytest.mark.parametrize("order", [(1, 2, 0), (0, 2, 1), (2, 1, 0), (1, 0, 2)])
def test_the_lines_of_a_block_may_stand_in_any_order(order: tuple[int, ...]) -> None:
    blocks = [block.split("\n") for block in PLAIN.split("\n--\n")]
    text = "\n--\n".join("\n".join(block[i] for i in order) for block in blocks)
    assert read(text) == LEGS
    assert form_faults(text) == {FormFault.BLOCKS}


def test_long_forms_carry_the_stops_on_the_way() -> None:
    counted = PLAIN.replace("Birch Station\n--", "Birch Station\nNumber of Via Stops: 3\n--")
    counted += "\nNumber of Via Stops: 0"
    assert [leg.via_count for leg in read(counted)] == [3, 0]
    assert form_faults(counted, "long_count") == set()
    assert form_faults(counted, "") == set()
    assert form_faults(counted, "short") == form_faults(counted, "long_via") == {FormFault.FIELDS}
    named = PLAIN.replace(
        "Birch Station\n--", "Birch Station\nVia Stops: Elm Station, Fern、Gate\n--"
    )
    named += "\nVia Stops: none"
    assert [leg.via_names for leg in read(named)] == [("Elm Station", "Fern", "Gate"), ()]
    assert form_faults(named, "long_via") == set()
    assert form_faults(PLAIN, "long_via") == form_faults(PLAIN, "long_count") == {FormFault.FIELDS}
    assert form_faults(counted.removesuffix("\nNumber of Via Stops: 0"), "") == {FormFault.FIELDS}


@pytest.mark.parametrize("count", ["many", "-1", "9" * 40, "3.5"])
def test_a_count_that_is_no_number_is_not_carried(count: str) -> None:
    assert read(f"{PLAIN}\nNumber of Via Stops: {count}")[-1].via_count is None


def test_of_two_departures_the_first_counts_and_of_two_arrivals_the_last() -> None:
    text = PLAIN.replace(
        "Arrival Stop: Birch", "Departure Stop: Elm\nArrival Stop: Fern\nArrival Stop: Birch"
    )
    assert read(text) == LEGS
    assert form_faults(text) == {FormFault.FIELDS}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  \n ",
        "--",
        "-" * 400,
        "Route Name: \nDeparture Stop: \nArrival Stop: ",
        "Route Name: Line 1\nArrival Stop: Birch Station",
        "Departure Stop: Acorn Station\nArrival Stop: Birch Station",
        "Take Line 1 from Acorn Station to Birch Station.",
        "| Route Name: | Departure Stop: |\n|---|---|\n| 1 | Acorn |",
        "Route Name: Line 1, then Route Name: Line 2.",
        f"◁think▷{PLAIN}◁/think▷",
        f"◁think▷{PLAIN}",
        f"<|channel|>analysis<|message|>{PLAIN}<|end|>",
        PLAIN.replace("Departure Stop", "Departure Station"),
        f"<think>{PLAIN}</think>",
        f"<think>{PLAIN}",
        None,
        5,
        PLAIN.encode(),
        [PLAIN],
    ],
)
def test_what_has_no_whole_leg_is_unreadable(text: object) -> None:
    assert read(text) == ()


@pytest.mark.parametrize(("letter", "odd"), [("s", "ſ"), ("i", "İ"), ("i", "ı")])
def test_letters_that_only_pass_for_others_in_lower_case_make_no_label(
    letter: str, odd: str
) -> None:
    assert read(PLAIN.lower().replace(letter, odd)) == ()


def test_incomplete_blocks_are_no_legs() -> None:
    cut = PLAIN[: PLAIN.index("Arrival Stop: Cedar")]
    assert read(cut) == LEGS[:1]
    between = PLAIN.replace("--\n", "--\nRoute Name: Line 9\nDeparture Stop: Elm\n--\n")
    assert read(between) == LEGS


def test_legs_beyond_the_limit_are_not_read() -> None:
    legs = [LegText("Line 1", f"Stop {i}", f"Stop {i + 1}") for i in range(100)]
    text = write_route(legs)
    assert len(read(text)) == 100
    assert len(read(text, max_legs=8)) == 8


def test_an_answer_tag_without_a_route_is_passed_over() -> None:
    assert read(f"{PLAIN}\n<answer>see above</answer>") == LEGS
    assert (
        read(f"Route Name: X\nDeparture Stop: Y\nArrival Stop: Z\n<answer>{PLAIN}</answer>") == LEGS
    )
    assert read(f"<answer>{PLAIN}") == LEGS


def test_of_an_overlong_text_the_end_is_read_and_then_the_beginning() -> None:
    filler = "and so on " * 100_000
    assert read(f"{filler}\n{PLAIN}") == LEGS
    assert read(f"{PLAIN}\n{filler}") == LEGS


LINE_OF_ROUTE = st.sampled_from(
    [
        "Route Name: Line 1",
        "Route Name: 1号线",
        "Route Name: *Line 1*",
        "Departure Stop: Acorn Station",
        "Departure Stop:  Birch",
        "Arrival Stop: Cedar Station",
        "Arrival Stop: Elm St.",
        "Arrival Stop: a: b",
        "Arrival Stop: x</b",
        "Arrival Stop: \x1f",
        "Number of Via Stops: 3",
        "Number of Via Stops: 3 stops",
        "Via Stops: A Station, B Station",
        "Via Stops: None",
        "--",
        "-----",
        "-",
        "",
        "I think: this way.",
        "```",
    ]
)
BLOCK = st.tuples(
    st.just("Route Name: Line 1"),
    st.just("Departure Stop: Acorn Station"),
    st.just("Arrival Stop: Cedar Station"),
).map("\n".join)
ROUTES = st.lists(LINE_OF_ROUTE | BLOCK | st.just("--"), max_size=12).map("\n".join)


@settings(max_examples=400)
@given(ROUTES, st.sampled_from(["", "short", "long_count", "long_via"]))
def test_the_markup_of_labels_never_changes_what_is_read(text: str, form: str) -> None:
    decorated = text.replace("Route Name: ", "- **route name** : ").replace("Stop: ", "STOP:")
    assert read(decorated, form) == read(text, form)


@settings(max_examples=400)
@given(ROUTES)
def test_a_written_route_reads_back(text: str) -> None:
    legs = tuple(LegText(leg.line, leg.departure, leg.arrival) for leg in read(text))
    written = write_route(legs)
    assert read(written, "short") == legs
    assert not legs or form_faults(written, "short") == frozenset()
