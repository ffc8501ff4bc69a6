"""Gains by condition and group of trips, and their page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks.evidence.cli import RESULTS, WORK, _study, evidence
from benchmarks.evidence.document import write_gains
from benchmarks.evidence.protocol import Cell, Protocol
from benchmarks.evidence.result import Answers, Result
from benchmarks.evidence.samples import NO_SURPLUS, TRIPS, Results, answers_sample, metric_sample
from benchmarks.evidence.study import Study, Trial
from benchmarks.evidence.when import GAINS, all_gains, gains_table, perception_table

Make = Callable[..., Result]


def with_transfers(result: Result) -> Result:
    """Give planning questions 0, 1, 2, 0, … transfers."""
    questions = tuple(
        one.model_copy(update={"transfers": number % 3})
        for number, one in enumerate(result.questions)
    )
    return result.model_copy(update={"questions": questions})


def results(study: Study, make: Make, accuracy: dict[str, float]) -> Results:
    return Results.of(
        with_transfers(make(study, trial, accuracy.get(trial.arm, 0.2)))
        for trial in study.trials(("rl_baseline", *GAINS.values()))
    )


def test_groups_of_trips_divide_the_planning_questions(study: Study, make_result: Make) -> None:
    run = with_transfers(make_result(study, Trial("rewardmap", 1), 0.5))
    cell = Cell(arm="rewardmap")
    planning = metric_sample(run, cell, "planning")
    groups = [metric_sample(run, cell, name) for name in TRIPS]
    assert planning is not None
    assert sum(len(one.values) for one in groups if one) == len(planning.values)
    assert sum(sum(one.values) for one in groups if one) == sum(planning.values)


def test_perception_is_every_type_but_planning(study: Study, make_result: Make) -> None:
    run = make_result(study, Trial("rewardmap", 1), 0.5)
    sample = metric_sample(run, Cell(arm="rewardmap"), "perception")
    assert sample is not None
    right = [
        one
        for one, asked in zip(run.validations[-1].map.right, run.questions, strict=True)
        if asked.type != "planning"
    ]
    assert sample.mean == pytest.approx(sum(right) / len(right)), "as many questions of each type"


def test_gains_are_differences_to_the_baseline(study: Study, make_result: Make) -> None:
    found = all_gains({"all": results(study, make_result, {"rewardmap": 0.9})})
    assert [one.trips for one in found] == ["planning", NO_SURPLUS, *TRIPS]
    for one in found:
        assert set(one.differences) == set(GAINS)
        assert one.differences["both"].low > 0
    whole = found[0]
    assert whole.differences["both"].mean == pytest.approx(0.9 - whole.baseline, abs=0.15)
    assert whole.before < 0.3


def test_few_seeds_are_no_result(study: Study, make_result: Make) -> None:
    every = results(study, make_result, {"rewardmap": 0.9})
    two = Results.of(run for run in every.all if run.arm != "rewardmap" or run.seed < 3)
    assert all("both" not in one.differences for one in all_gains({"two": two}))
    assert perception_table({"two": two}).count("–") == 1
    one = Results.of(run for run in every.all if run.seed == 1)
    assert all_gains({"one": one}) == []
    assert "one" not in perception_table({"one": one})


def test_only_full_detail_is_a_route_without_surplus_legs() -> None:
    answers = Answers(
        right=(1, 1, 0, 1), detail=(10, 10 / 6, 9, None), reward=(0,) * 4, readable=(1,) * 4
    )
    kinds = ("planning",) * 3 + ("TorF1",)
    found = answers_sample(kinds, tuple("abcd"), answers, NO_SURPLUS)
    assert found is not None and found.values == (1, 0, 0)


def test_missing_runs_leave_gaps(study: Study, make_result: Make) -> None:
    conditions = {"all": results(study, make_result, {}), "none": Results.of([])}
    without = Results.of(
        run for run in conditions["all"].all if run.arm not in ("rewardmap", "rl_baseline")
    )
    assert all_gains({"none": without}) == []
    some = {"some": Results.of(run for run in conditions["all"].all if run.arm != "rewardmap")}
    table = gains_table(all_gains(some), some)
    assert table.count("| – |") == 2 + len(TRIPS)
    assert perception_table(some).count("–") == 1


def conditions_of(study: Study, values: dict[str, Any], out: Path) -> dict[str, Study]:
    protocol = Protocol.model_validate(values)
    names = protocol.conditions
    return {
        "own": replace(study, protocol=protocol, out=out / "small"),
        **{name: replace(study, protocol=protocol.under(name), out=out / name) for name in names},
    }


def test_the_page_has_conditions_gains_and_figure(
    study: Study, protocol_values: dict[str, Any], make_result: Make, tmp_path: Path
) -> None:
    studies = conditions_of(study, protocol_values, tmp_path / "results")
    page = tmp_path / "when.md"
    assert write_gains(studies, page) == [page]
    assert "No results yet" in page.read_text()
    for name in ("own", "no_kl_no_replay"):
        for trial in studies[name].trials(("rl_baseline", *GAINS.values())):
            run = with_transfers(make_result(studies[name], trial, 0.3))
            run.write(studies[name].result(trial))
    written = write_gains(studies, page)
    assert [path.name for path in written] == ["when.md", "evidence_gains.png"]
    text = page.read_text()
    assert "| no_kl_no_replay | planning |" in text
    assert "| no_kl_no_replay | `rewardmap pocket-model` | all | 0.0003 | 0 | 0 | 12 |" in text
    write_gains(studies, page)
    assert page.read_text() == text


def test_each_condition_has_its_own_folders() -> None:
    """Otherwise the start model of one condition would be refused, or used, by another."""
    own, other = (_study(None, name, None, None, None) for name in (None, "warm_start"))
    assert own.work == WORK and other.work == WORK / "warm_start"
    assert own.out == RESULTS / "small" and other.out == RESULTS / "warm_start"
    assert other.protocol.model.cold_start and not own.protocol.model.cold_start
    assert set(other.arms) == {"rl_baseline", *GAINS.values()}


def test_the_command_writes_the_page(
    study: Study,
    protocol_values: dict[str, Any],
    write_protocol: Callable[[dict[str, Any]], Path],
    make_result: Make,
    tmp_path: Path,
) -> None:
    arms = ["rl_baseline", *GAINS.values()]
    protocol_values["budgets"]["conditions"] = {
        "seeds": 3,
        "steps": study.budget.steps,
        "validate": 3,
        "arms": arms,
    }
    studies = conditions_of(study, protocol_values, tmp_path / "results")
    for name, right in (("own", 0.2), ("no_kl_no_replay", 0.6)):
        for trial in studies[name].trials(tuple(arms)):
            make_result(studies[name], trial, right).write(studies[name].result(trial))
    page, protocol = tmp_path / "when.md", write_protocol(protocol_values)
    options = ["--protocol", protocol, "--results", tmp_path / "results", "--page", page]
    done = CliRunner().invoke(evidence, ["when", *map(str, options)])
    assert done.exit_code == 0, done.output
    lines = [line.split("|") for line in page.read_text().splitlines() if "| planning |" in line]
    assert [line[1].strip() for line in lines] == ["as in the study", "no_kl_no_replay"]
    low, high = (int(line[5]) for line in lines)
    assert low < 40 < high, "each condition has its own results"


def test_the_command_names_an_unknown_condition() -> None:
    for words in (("run", "--condition", "best"), ("status", "--condition", "best")):
        done = CliRunner().invoke(evidence, [*words])
        assert done.exit_code == 2
        assert "no_kl_no_replay" in done.output, done.output
