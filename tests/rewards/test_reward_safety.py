"""Hostile text costs little, nothing is evaluated, and a score is the same everywhere."""

from __future__ import annotations

import ast
import os
import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import rewardmap_verl.rewards
from rewardmap_verl.questions.sampling import Quotas, generate_questions
from rewardmap_verl.questions.types import QuestionType
from rewardmap_verl.questions.wording import gold_answer
from rewardmap_verl.rewards.score import GroundTruth, RewardConfig, bounds, score_answer
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.reader import parse_network

SOURCES = sorted(Path(rewardmap_verl.rewards.__file__).parent.glob("*.py"))

HOSTILE = {
    "brackets": "(",
    "braces": "{",
    "closing braces": "}",
    "boxes": "\\boxed{",
    "whole boxes": "\\boxed{1}",
    "backslashes": "\\",
    "dashes": "-",
    "lines of dashes": "--\n",
    "dashes and spaces": "- ",
    "spaces": " x",
    "digits": "7",
    "statements": "the answer is ",
    "equals": "=",
    "answers": "answer: 1, ",
    "think": "<think>",
    "thought": "<think></think>",
    "tags": "<answer>",
    "fences": "```\n",
    "labels": "Route Name:",
    "label parts": "Route" + " " * 30,
    "starred labels": "Route Name" + "*" * 30,
    "half legs": "Route Name: Line 1\nDeparture Stop: Acorn Station\n",
    "legs": "Route Name: Line 1\nDeparture Stop: Acorn Station\nArrival Stop: Birch Station\n--\n",
    "loops": "Route Name: Line 1\nDeparture Stop: Acorn Station\nArrival Stop: Acorn Station\n",
    "odd names": "Route Name: Line (1)\nDeparture Stop: (a\nArrival Stop: b] ｂ\n",
    "full width": "Ｒｏｕｔｅ Ｎａｍｅ：",
    "combining": "e\u0301\u0323",
    "surrogates": "\ud800",
    "zero width": "\u200b",
    "table rows": "| Line 1 | Acorn Station | Birch Station |\n",
    "table headers": "| Route Name | Departure Stop | Arrival Stop |\n",
    "cells": "|",
    "JSON answers": '{"answer": "',
    "JSON legs": '{"route_name": "Line 1", "departure_stop": "Acorn", "arrival_stop": "Elm"}, ',
    "fboxes": "\\fbox{",
    "final marks": "Final answer:\nRoute Name: 1\nDeparture Stop: Acorn\nArrival Stop: Elm\n",
    "thinking triangles": "◁think▷",
    "special tokens": "<|im_end|>",
    "open tokens": "<|",
    "square brackets": "[THINK",
    "answer lines": "yes\n",
    "number words": "twenty-",
    "remarks": "Route Name: 1\nDeparture Stop: A - transfer\nArrival Stop: B, transfer - \n",
}


@pytest.fixture(scope="module")
def town() -> Network:
    lists = {
        "Line 1": ["Acorn Station", "Birch Station", "Cedar Station"],
        "Line 2": ["Cedar Station", "Dune Station"],
    }
    return parse_network(lists, "land", "town")


@pytest.fixture(scope="module")
def truths(town: Network) -> dict[QuestionType, GroundTruth]:
    questions = generate_questions(town, "hard", 3, Quotas(3, 3, 3, 3, 1, 6))
    return {question.type: GroundTruth.from_question(question) for question in questions}


NESTED = {
    "nested boxes": ("\\boxed{", "}"),
    "nested texts": ("\\text{", "}"),
    "nested tags": ("<answer>", "</answer>"),
    "nested thoughts": ("<think>", "</think>"),
    "nested brackets": ("(", ")"),
}


@pytest.mark.parametrize("name", NESTED)
@pytest.mark.parametrize("kind", [QuestionType.COUNTING2, QuestionType.PLANNING])
def test_deep_nesting_is_scored_quickly(
    name: str, kind: QuestionType, town: Network, truths: dict[QuestionType, GroundTruth]
) -> None:
    begin, end = NESTED[name]
    for depth in (100, 4_000, 200_000):
        text = begin * depth + "7" + end * depth
        assert seconds(text, truths[kind], town) < 0.25


def seconds(text: str, truth: GroundTruth, network: Network) -> float:
    """Return the processor time of scoring, the better of two."""
    times = []
    for _ in range(2):
        start = time.process_time()
        score_answer(text, truth, network, RewardConfig())
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("kind", [QuestionType.COUNTING2, QuestionType.PLANNING])
def test_a_megabyte_of_anything_is_scored_quickly(
    name: str, kind: QuestionType, town: Network, truths: dict[QuestionType, GroundTruth]
) -> None:
    text = HOSTILE[name] * (1_000_000 // len(HOSTILE[name]) + 1)
    score = score_answer(text, truths[kind], town, RewardConfig())
    assert 0.0 <= score.score <= bounds(truths[kind], RewardConfig())[1]
    small, large = (seconds(text[:size], truths[kind], town) for size in (4_000, 64_000))
    assert seconds(text, truths[kind], town) < 0.25  # 0.05 on an idle machine
    assert large < max(0.01, 16 * small * 4)  # sixteen times the text; four for noise


def test_nothing_is_evaluated() -> None:
    forbidden = {"eval", "exec", "compile", "__import__", "sympify", "parse_expr", "literal_eval"}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Name | ast.Attribute):
                name = node.id if isinstance(node, ast.Name) else node.attr
                allowed = isinstance(node, ast.Attribute) and ast.unparse(node) == "re.compile"
                assert name not in forbidden or allowed, f"{path.name}:{node.lineno}: {name}"
            if isinstance(node, ast.Import | ast.ImportFrom):
                modules = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
                assert not {"sympy", "latex2sympy2", "math_verify", "subprocess", "os"} & set(
                    modules
                )


def test_no_pattern_repeats_a_repeat() -> None:
    """Every pattern is bounded or starts at a fixed place, which the cost tests measure; here only
    the shape that makes backtracking explode is looked for: a group with a repeat, repeated."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "re.compile":
                pattern = ast.unparse(node.args[0])
                for shape in ("+)+", "*)*", "+)*", "*)+", "}){", ".*.*"):
                    assert shape not in pattern, f"{path.name}:{node.lineno}"


SCRIPT = """
import builtins, io, sys
real_open, opened = builtins.open, []
def watched(*args, **kwargs):
    opened.append(args[0])
    return real_open(*args, **kwargs)
builtins.open = watched
import rewardmap_verl.rewards.score
import rewardmap_verl.rewards.attacks
builtins.open = real_open
assert not opened, opened
import random
from rewardmap_verl.questions.sampling import generate_questions
from rewardmap_verl.rewards.attacks import wrong_routes
from rewardmap_verl.rewards.detail import required_trip
from rewardmap_verl.rewards.perfect import perfect_legs, write_route
from rewardmap_verl.rewards.score import *
from rewardmap_verl.transit.reader import parse_network
town = parse_network({"Line 1": ["Acorn", "Birch", "Cedar"], "Line 2": ["Cedar", "Dune", "Acorn"],
                      "Line 3": ["Dune", "Elm"]}, "land", "town")
for question in generate_questions(town, "hard", 3):
    truth = GroundTruth.from_question(question)
    print(truth.to_json())
    if truth.is_planning:
        legs, trip = perfect_legs(truth, town), required_trip(truth, town)
        for name, wrong in wrong_routes(legs, town, trip, random.Random("1")):
            print(name, score_answer(write_route(wrong), truth, town, RewardConfig()).as_dict())
"""


def test_scores_do_not_depend_on_the_hash_seed_and_importing_opens_no_file() -> None:
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "77")
    ]
    one, other = (run.communicate(timeout=120)[0] for run in runs)
    assert [run.returncode for run in runs] == [0, 0]
    assert one == other
    assert len(one.splitlines()) > 50


def test_scores_are_the_same_in_threads_and_after_pickling(town: Network) -> None:
    questions = generate_questions(town, "hard", 3, Quotas(3, 3, 3, 3, 1, 6))
    rows = [(gold_answer(question), GroundTruth.from_question(question)) for question in questions]
    config = pickle.loads(pickle.dumps(RewardConfig()))
    alone = [score_answer(*row, town, config) for row in rows]
    fresh = pickle.loads(pickle.dumps(town))
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda row: score_answer(*row, fresh, config), rows * 20))
    assert together == alone * 20
    assert pickle.loads(pickle.dumps(alone)) == alone
    assert all(score.acc == 1.0 for score in alone)
