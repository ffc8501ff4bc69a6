"""The page about the evidence: protocol and results, written from the files alone.

What the page says about a claim follows from the numbers by the rule in
:mod:`benchmarks.evidence.verdict`; no sentence about a result is written by hand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Final

from benchmarks.evidence.baselines import SCALE_NAME, Scale, read_scale
from benchmarks.evidence.figures import accuracy_figure, reward_figure, signal_figure
from benchmarks.evidence.protocol import GROUP_FIGURES, Cell, Claim
from benchmarks.evidence.result import Result, load_result
from benchmarks.evidence.reward_hacking import SIGNS
from benchmarks.evidence.samples import (
    PLANNING,
    Results,
    answers_sample,
    cell_samples,
)
from benchmarks.evidence.study import Study, Trial
from benchmarks.evidence.verdict import (
    FEWEST_SEEDS,
    Finding,
    by_seed,
    judge_claims,
    measured,
)
from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation.statistics import SeedInterval, seed_interval
from rewardmap_verl.evaluation.tables import Column, TableRow, markdown_table
from rewardmap_verl.preparation.atomic import disk_errors, write_bytes

__all__ = ["load_results", "protocol_text", "results_text", "write_page"]

_MARKS: Final = {
    name: (f"<!-- {name}: begin (rewardmap evidence doc) -->", f"<!-- {name}: end -->")
    for name in ("protocol", "results")
}
_OUTCOMES: Final = {
    "supported": "**supported**",
    "against": "**against**",
    "undecided": "undecided",
    "not run": "not run",
}


def load_results(study: Study) -> Results:
    """Every result of a study that is there.

    Raises:
        ConfigError: One is of other settings.
        DataError: One cannot be read, or two are of different data.
    """
    found: list[Result] = []
    for arm in study.arms:
        for path in sorted((study.out / arm).glob("seed-*.json")):
            number = path.stem.removeprefix("seed-")
            if not number.isdecimal():
                raise DataError(path, hint="It is no result; results are called seed-N.json.")
            result = load_result(study, Trial(arm, int(number)), None)
            if result is not None:
                found.append(result)
    data = {str(one.settings.get("data")) for one in found}
    if len(data) > 1:
        hint = "Remove those of the older data and run again."
        raise DataError(study.out, "settings.data", sorted(data), hint)
    return Results.of(found, _scale(study, data))


def _scale(study: Study, data: set[str]) -> Scale | None:
    """Baselines of the results' own questions, where they are there."""
    if not (study.out / SCALE_NAME).is_file():
        return None
    scale = read_scale(study.out)
    return scale if scale.data in data else None


# Protocol


def protocol_text(study: Study) -> str:
    """Arms, settings and claims, as the protocol has them."""
    protocol, budget = study.protocol, study.budget
    training = protocol.training
    arms = "\n".join(
        f"| `{name}` | {arm.title} | {_order(study, name)} | {_recipe(arm.recipe)} |"
        for name, arm in ((name, protocol.arms[name]) for name in study.arms)
    )
    claims = "\n".join(
        f"{number}. {claim.text}: {_rule(claim)}."
        for number, claim in enumerate(protocol.claims, 1)
    )
    start = ", then ".join(f"`rewardmap cold-start {one}`" for one in protocol.model.cold_start)
    model = "one for each seed, shared by its arms" if protocol.model.per_seed else "one for all"
    return (
        f"World: `rewardmap prepare {protocol.world.prepare}`. "
        f"Start: {start}, {model}.\n\n"
        f"Every arm: {budget.steps} steps of {training.prompts} prompts × {training.rollouts} "
        f"answers = {_rollouts(study):,} rollouts, learning rate {training.learning_rate:g}, KL "
        f"weight {training.kl:g}; held-out answers: {_answered(study)}; "
        f"{budget.seeds} seeds (budget `{study.budget_name}`).\n\n"
        f"| arm | what it is | order of questions | options of the recipe |\n|---|---|---|---|\n"
        f"{arms}\n\nClaims, each with what decides it:\n\n{claims}\n"
    )


def _rollouts(study: Study) -> int:
    training = study.protocol.training
    return study.budget.steps * training.prompts * training.rollouts


def _order(study: Study, arm: str) -> str:
    stages = study.stages(arm)
    return " → ".join(f"{one['name']} {one['steps']}" for one in stages)


def _recipe(options: Sequence[str]) -> str:
    return ", ".join(f"`{one}`" for one in options) or "none"


def _rule(claim: Claim) -> str:
    bound = "above 0"
    if claim.least is not None or claim.most is not None:
        most = claim.least is None
        bound = f"at most {claim.most:g}" if most else f"at least {claim.least:g}"
    minus = f" minus {claim.second.title}" if claim.second is not None else ""
    return f"{claim.figure} of {claim.first.title}{minus}, {bound}"


# Results


def results_text(study: Study, results: Results) -> str:
    """Everything that the results say, in Markdown; runs that are missing are named."""
    if not results.all:
        return "Nothing has been run yet: `rewardmap evidence run`.\n"
    findings = judge_claims(study.protocol.claims, results)
    sections = [
        _overview(study, results, findings),
        "### Claims\n\n" + _claims_table(findings),
        "### Held-out accuracy\n\n" + _accuracy_table(study, results),
        "![Held-out accuracy over steps](images/evidence_accuracy.png)\n",
        "### Signal\n\n" + _signal_table(study, results),
        "![Groups without signal over steps](images/evidence_signal.png)\n",
        "### Rewards\n\n![Reward over steps, by arm](images/evidence_reward.png)\n",
        "### Did any learn a hack?\n\n" + _hacks_table(results),
        "### Cost\n\n" + _cost_table(study, results),
    ]
    return "\n".join(sections)


def _overview(study: Study, results: Results, findings: Sequence[Finding]) -> str:
    counts: Counter[str] = Counter(one.outcome for one in findings)
    parts = [f"{counts[name]} {name}" for name in _OUTCOMES if counts[name]]
    lines = [f"Of {len(findings)} claims: {', '.join(parts)}.\n"]
    wanted = study.budget.seeds
    missing = [
        f"`{arm}` ({len(results.by_arm.get(arm, {}))} of {wanted} seeds)"
        for arm in study.arms
        if len(results.by_arm.get(arm, {})) < wanted
    ]
    if missing:
        lines.append(f"Not whole yet: {', '.join(missing)}.\n")
    if any(one.claims != study.claims_digest for one in results.all):
        lines.append("**The claims were changed after runs were made.**\n")
    return "\n".join(lines)


def _claims_table(findings: Sequence[Finding]) -> str:
    rows = [
        f"| {number} | {one.claim.text} | {measured(one)} | {by_seed(one)} "
        f"| {_OUTCOMES[one.outcome]} |"
        for number, one in enumerate(findings, 1)
    ]
    note = (
        "Accuracies and shares in per cent, differences in percentage points, detail 0 to 10. "
        "The interval is a bootstrap over seeds and maps, paired. Supported: it lies on the "
        "claimed side; against: on the other; undecided otherwise, and with fewer than "
        f"{FEWEST_SEEDS} seeds.\n"
    )
    heads = "| | claim | measured, 95 % interval | by seed | outcome |"
    return "\n".join([heads, "|---|---|---|---|---|", *rows, "", note])


def _columns(study: Study) -> list[Column]:
    kinds = [kind for kind in study.protocol.types if kind != PLANNING]
    names = [PLANNING, "detail", *kinds, "all"]
    return [
        Column(
            "evidence", name, name, percent=name != "detail", digits=2 if name == "detail" else 1
        )
        for name in names
    ]


def _row(name: str, spreads: Sequence[SeedInterval | None], columns: Sequence[Column]) -> TableRow:
    def scaled(column: Column, value: float) -> float:
        return 100 * value if column.percent else value

    pairs = list(zip(columns, spreads, strict=True))
    return TableRow(
        name,
        tuple(None if one is None else scaled(c, one.mean) for c, one in pairs),
        tuple(
            None if one is None else (scaled(c, one.low), scaled(c, one.high)) for c, one in pairs
        ),
    )


def _cell_row(name: str, results: Results, cell: Cell, columns: Sequence[Column]) -> TableRow:
    spreads = [
        seed_interval(cell_samples(results, cell, column.name), f"{cell.title}/{column.name}")
        for column in columns
    ]
    return _row(name, spreads, columns)


def _accuracy_rows(study: Study, results: Results, columns: Sequence[Column]) -> Iterator[TableRow]:
    common = [
        arm for arm in study.arms if arm in results.by_arm and study.protocol.arms[arm].sft is None
    ]
    if common:
        yield _cell_row("before", results, Cell(arm=common[0], when="before"), columns)
    for arm in study.arms:
        if study.protocol.arms[arm].sft is not None and arm in results.by_arm:
            name = f"{arm}, before RL"
            yield _cell_row(name, results, Cell(arm=arm, when="before"), columns)
        yield _cell_row(arm, results, Cell(arm=arm), columns)
    for arm in study.arms:
        if arm in results.by_arm:
            name = f"{arm}, blank picture"
            yield _cell_row(name, results, Cell(arm=arm, sees="blank"), columns)
    if (scale := results.scale) is None:
        return
    for name, answers in scale.baselines.items():
        samples = [
            answers_sample(scale.types, scale.places, answers, column.name) for column in columns
        ]
        cells = [
            None if one is None else (100 * one.mean if column.percent else one.mean)
            for column, one in zip(columns, samples, strict=True)
        ]
        yield TableRow(f"baseline: {name}", tuple(cells))


def _answered(study: Study) -> str:
    """How held-out questions are answered."""
    temperature = study.protocol.training.temperature
    return f"one sample at temperature {temperature:g}" if temperature else "greedy"


def _accuracy_table(study: Study, results: Results) -> str:
    columns = _columns(study)
    table = markdown_table(list(_accuracy_rows(study, results, columns)), columns)
    how = _answered(study)
    return (
        f"{table}\nPer cent of right answers, {how}, on maps that were not trained; detail of "
        "planning from 0 to 10; `all` weighs every type alike. An arm of dashes has not been run.\n"
    )


def _signal_table(study: Study, results: Results) -> str:
    heads = ("first tenth", "… if binary", "whole run", "… if binary")
    lines = ["| arm | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    for arm in study.arms:
        cells = []
        for when in ("before", "after"):
            for figure in GROUP_FIGURES:
                cell = Cell(arm=arm, when=when)
                spread = seed_interval(cell_samples(results, cell, figure), f"{cell}/{figure}")
                cells.append(_percent(spread))
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    lines.append(
        "\nShare of planning groups whose answers all earn the same, with the arm's own reward and "
        "with correctness alone, in per cent. First tenth: of the steps that train planning.\n"
    )
    return "\n".join(lines)


def _percent(spread: SeedInterval | None) -> str:
    if spread is None:
        return "–"
    return f"{100 * spread.mean:.1f} [{100 * spread.low:.1f}, {100 * spread.high:.1f}]"


_SHARES: Final = tuple(name for name in SIGNS if name not in ("surplus", "characters"))


def _hacks_table(results: Results) -> str:
    """Planning answers of the trained policies, mean over seeds."""
    names = list(SIGNS)
    heads = " | ".join(name.replace("_", " ") for name in names)
    lines = [f"| arm | {heads} |", "|---|" + "---:|" * len(names)]
    for arm, seeds in results.by_arm.items():
        for when in ("before", "after"):
            signs = [one.hacks.get(when, {}).get(PLANNING, {}) for one in seeds.values()]
            cells = [_sign(name, [one[name] for one in signs if name in one]) for name in names]
            lines.append(f"| {arm}, {when} | " + " | ".join(cells) + " |")
    meanings = "; ".join(f"{name.replace('_', ' ')}: {text}" for name, text in SIGNS.items())
    return "\n".join([*lines, "", f"Of the answers to planning questions. {meanings}.\n"])


def _sign(name: str, values: Sequence[float]) -> str:
    if not values:
        return "–"
    mean = fmean(values)
    return f"{100 * mean:.0f} %" if name in _SHARES else f"{mean:.1f}"


def _cost_table(study: Study, results: Results) -> str:
    lines = ["| arm | runs | rollouts each | minutes each |", "|---|---:|---:|---:|"]
    for arm in study.arms:
        runs = list(results.by_arm.get(arm, {}).values())
        if not runs:
            lines.append(f"| {arm} | 0 | – | – |")
            continue
        minutes = fmean(one.seconds for one in runs) / 60
        rollouts = ", ".join(f"{count:,}" for count in sorted({one.rollouts for one in runs}))
        lines.append(f"| {arm} | {len(runs)} | {rollouts} | {minutes:.1f} |")
    hours = sum(one.seconds for one in results.all) / 3600
    versions = results.all[0].versions
    made = ", ".join(f"{name} {number}" for name, number in versions.items())
    return "\n".join([*lines, "", f"All runs together: {hours:.1f} h. {made}.\n"])


# The page


def write_page(study: Study, page: Path) -> list[Path]:
    """Write protocol and results into a page between their marks, and the pictures beside it.

    Args:
        study: The study; its results may be incomplete or missing.
        page: A Markdown file with the marks; made when it is not there.

    Returns:
        The files that were written.

    Raises:
        ConfigError: Results are of another protocol.
        DataError: Results cannot be read, or the page lacks a mark.
    """
    results = load_results(study)
    text = page.read_text(encoding="utf-8") if page.is_file() else _new_page(study)
    text = _between(text, "protocol", protocol_text(study), page)
    text = _between(text, "results", results_text(study, results), page)
    contents = {page: text.encode()}
    if results.all:
        images = page.parent / "images"
        contents[images / "evidence_accuracy.png"] = accuracy_figure(results)
        contents[images / "evidence_signal.png"] = signal_figure(results)
        contents[images / "evidence_reward.png"] = reward_figure(results)
    with disk_errors(page):
        for path, content in contents.items():
            write_bytes(path, content)
    return list(contents)


def _new_page(study: Study) -> str:
    parts = [f"# {study.protocol.title}\n"]
    for name, (begin, end) in _MARKS.items():
        parts.append(f"## {name.capitalize()}\n\n{begin}\n{end}\n")
    return "\n".join(parts)


def _between(text: str, name: str, content: str, page: Path) -> str:
    begin, end = _MARKS[name]
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        hint = f"Put the lines {begin!r} and {end!r} where the {name} go."
        raise DataError(page, found=f"no place for the {name}", hint=hint)
    return f"{before}{begin}\n\n{content.strip()}\n\n{end}{after}"
