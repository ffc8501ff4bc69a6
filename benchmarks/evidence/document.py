"""The generated parts of two pages, evidence and gains by condition, and the report of a study.

Each verdict follows from the numbers by the rule in ``benchmarks.evidence.verdict``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Final

from benchmarks.evidence.baselines import SCALE_NAME, Scale, read_scale
from benchmarks.evidence.figures import (
    accuracy_figure,
    gains_figure,
    reward_figure,
    signal_figure,
)
from benchmarks.evidence.protocol import GROUP_METRICS, Cell, Claim
from benchmarks.evidence.result import Result, load_result
from benchmarks.evidence.reward_hacking import INDICATORS
from benchmarks.evidence.samples import (
    NO_SURPLUS,
    PLANNING,
    Results,
    answers_sample,
    cell_samples,
)
from benchmarks.evidence.study import Study, Trial
from benchmarks.evidence.verdict import (
    MIN_SEEDS,
    Verdict,
    format_by_seed,
    format_value,
    judge_claims,
)
from benchmarks.evidence.when import all_gains, gains_table, perception_table
from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation.statistics import SeedInterval, seed_interval
from rewardmap_verl.evaluation.tables import Column, TableRow, markdown_table
from rewardmap_verl.preparation.atomic import disk_errors, write_bytes

__all__ = [
    "REPORT_NAME",
    "load_results",
    "protocol_text",
    "report_text",
    "results_text",
    "write_gains",
    "write_page",
]

REPORT_NAME: Final = "report.md"
"""The full report, in the folder of the results."""

_PARTS: Final = {"protocol": "make evidence", "results": "make evidence"}
_GAINS_PARTS: Final = dict.fromkeys(("conditions", "gains"), "python -m benchmarks.evidence when")
_MARKS: Final = {
    name: (f"<!-- {name}: begin (generated: {command}) -->", f"<!-- {name}: end -->")
    for name, command in {**_PARTS, **_GAINS_PARTS}.items()
}
"""The generated parts of the two pages, with the command that writes them."""

_GAINS_NOTE: Final = (
    "Percentages of right answers on held-out maps; gains in percentage points with 95 % intervals "
    "over seeds and maps. No surplus leg: of all trips, with a surplus leg counted as wrong. No "
    "signal: planning groups whose answers all earn the same with a binary reward, in the first "
    f"tenth of the steps. With fewer than {MIN_SEEDS} seeds, nothing is shown.\n"
)
_PERCEPTION_NOTE: Final = (
    "Change of perception during training, in percentage points; all types but planning, weighted "
    "equally:"
)

_OUTCOMES: Final = {
    "supported": "**supported**",
    "against": "**against**",
    "undecided": "undecided",
    "not run": "not run",
}


def load_results(study: Study) -> Results:
    """Load all existing results of a study.

    Raises:
        ConfigError: A result was made with other settings.
        DataError: A result cannot be read, or two were made with different data.
    """
    found: list[Result] = []
    for arm in study.arms:
        for path in sorted((study.out / arm).glob("seed-*.json")):
            number = path.stem.removeprefix("seed-")
            if not number.isdecimal():
                raise DataError(path, hint="Unexpected file; results are named seed-N.json.")
            result = load_result(study, Trial(arm, int(number)), None)
            if result is not None:
                found.append(result)
    data = {str(one.settings.get("data")) for one in found}
    if len(data) > 1:
        hint = "Delete the results of the older data and run again."
        raise DataError(study.out, "settings.data", sorted(data), hint)
    return Results.of(found, _scale(study, data))


def _scale(study: Study, data: set[str]) -> Scale | None:
    """Return the baselines on the questions of the results, if present."""
    if not (study.out / SCALE_NAME).is_file():
        return None
    scale = read_scale(study.out)
    return scale if scale.data in data else None


# Protocol


def protocol_text(study: Study) -> str:
    """Return arms and settings in Markdown."""
    protocol, budget = study.protocol, study.budget
    training = protocol.training
    arms = "\n".join(
        f"| `{name}` | {arm.title} | {_order(study, name)} | {_recipe(arm.recipe)} |"
        for name, arm in ((name, protocol.arms[name]) for name in study.arms)
    )
    return (
        f"{_world(study)}\n\n"
        f"Start model of all arms and seeds: {_start(study)}.\n\n"
        f"Every arm: {budget.steps} steps of {training.prompts} prompts × {training.rollouts} "
        f"answers = {_rollouts(study):,} rollouts, learning rate {training.learning_rate:g}, KL "
        f"weight {training.kl:g}, {100 * training.replay:g} % of each stage replayed from the "
        f"others; held-out answers: {_answered(study)}; {budget.seeds} seeds (budget "
        f"`{study.budget_name}`). Arms with supervised steps have fewer RL steps, so that all see "
        f"equally many labels.\n\n"
        f"| arm | method | stages and steps | recipe options |\n|---|---|---|---|\n"
        f"{arms}\n"
    )


def _start(study: Study) -> str:
    """Return the commands that make the start model."""
    lines = study.protocol.model.cold_start
    commands = ["pocket-model", *(f"cold-start {line}" for line in lines)]
    return ", then ".join(f"`rewardmap {one}`" for one in commands)


def _world(study: Study) -> str:
    world = study.protocol.world
    questions = ", ".join(f"{count} {kind}" for kind, count in world.questions.items())
    return (
        f"Maps: {world.train_maps} for training and {world.test_maps} held out, with {questions} "
        f"questions each, seed {world.seed}."
    )


def _rollouts(study: Study) -> int:
    training = study.protocol.training
    return study.budget.steps * training.prompts * training.rollouts


def _order(study: Study, arm: str) -> str:
    order = " → ".join(f"{one['name']} {one['steps']}" for one in study.stages(arm))
    supervised = study.sft_steps(arm)
    return f"supervised {supervised} → {order}" if supervised else order


def _recipe(options: Sequence[str]) -> str:
    return ", ".join(f"`{one}`" for one in options) or "none"


def _rule(claim: Claim) -> str:
    bound = "above 0"
    if claim.at_least is not None or claim.at_most is not None:
        most = claim.at_least is None
        bound = f"at most {claim.at_most:g}" if most else f"at least {claim.at_least:g}"
    minus = f" minus {claim.second.title}" if claim.second is not None else ""
    return f"{claim.metric} of {claim.first.title}{minus}, {bound}"


# Results


def results_text(study: Study, results: Results) -> str:
    """Return the main results in Markdown; missing runs are listed."""
    if not results.all:
        return "No results yet; run `make evidence`.\n"
    verdicts = judge_claims(study.protocol.claims, results)
    sections = [
        _overview(study, results, verdicts),
        _claims_table(verdicts),
        _accuracy_table(study, results, blank=False),
        "![Held-out accuracy over steps](images/evidence_accuracy.png)\n",
        "![Groups without signal over steps](images/evidence_signal.png)\n",
        _cost(results),
    ]
    return "\n".join(sections)


def report_text(study: Study, results: Results) -> str:
    """Return all results in Markdown, with the rule and the seeds of every claim."""
    verdicts = judge_claims(study.protocol.claims, results)
    sections = [
        f"# {study.protocol.title}: budget {study.budget_name}\n",
        "Generated by `python -m benchmarks.evidence doc` from the files in this folder.\n",
        "## Claims\n\n" + _rules_table(verdicts),
        "## Held-out accuracy\n\n" + _accuracy_table(study, results, blank=True),
        "## Signal\n\n" + _signal_table(study, results),
        "## Rewards\n\n![Reward over steps, by arm](reward.png)\n",
        "## Reward hacking\n\n" + _hacking_table(results),
        "## Cost\n\n" + _cost_table(study, results),
    ]
    return "\n".join(sections)


def _overview(study: Study, results: Results, verdicts: Sequence[Verdict]) -> str:
    counts: Counter[str] = Counter(one.outcome for one in verdicts)
    parts = [f"{counts[name]} {name}" for name in _OUTCOMES if counts[name]]
    lines = [f"Of {len(verdicts)} claims: {', '.join(parts)}.\n"]
    wanted = study.budget.seeds
    missing = [
        f"`{arm}` ({len(results.by_arm.get(arm, {}))} of {wanted} seeds)"
        for arm in study.arms
        if len(results.by_arm.get(arm, {})) < wanted
    ]
    if missing:
        lines.append(f"Incomplete: {', '.join(missing)}.\n")
    if any(one.claims != study.claims_digest for one in results.all):
        lines.append("**The claims were changed after some runs.**\n")
    return "\n".join(lines)


def _claims_table(verdicts: Sequence[Verdict]) -> str:
    rows = [
        f"| {number} | {one.claim.text} | {format_value(one)} | {_OUTCOMES[one.outcome]} |"
        for number, one in enumerate(verdicts, 1)
        if one.spread is not None
    ]
    note = (
        "Accuracies and shares are percentages, differences percentage points, detail is 0 to 10. "
        "Intervals are paired bootstraps over seeds and maps. Supported: the interval is on the "
        "claimed side; against: on the other side; undecided: otherwise, or with fewer than "
        f"{MIN_SEEDS} seeds.\n"
    )
    heads = "| | claim | value, 95 % interval | outcome |"
    return "\n".join([heads, "|---|---|---|---|", *rows, "", note])


def _rules_table(verdicts: Sequence[Verdict]) -> str:
    rows = [
        f"| {number} | {_rule(one.claim)} | {format_value(one)} | {format_by_seed(one)} "
        f"| {one.outcome} |"
        for number, one in enumerate(verdicts, 1)
    ]
    heads = "| | claim | value, 95 % interval | by seed | outcome |"
    return "\n".join([heads, "|---|---|---|---|---|", *rows, ""])


def _columns(study: Study) -> list[Column]:
    kinds = [kind for kind in study.protocol.types if kind != PLANNING]
    names = [PLANNING, NO_SURPLUS, "detail", *kinds, "all"]
    return [
        Column(
            "evidence",
            name,
            "no surplus leg" if name == NO_SURPLUS else name,
            percent=name != "detail",
            digits=2 if name == "detail" else 1,
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


def _accuracy_rows(
    study: Study, results: Results, columns: Sequence[Column], blank: bool
) -> Iterator[TableRow]:
    common = [
        arm for arm in study.arms if arm in results.by_arm and study.protocol.arms[arm].sft is None
    ]
    if common:
        yield _cell_row("before", results, Cell(arm=common[0], when="before"), columns)
    for arm in study.arms:
        if study.protocol.arms[arm].sft is not None and arm in results.by_arm:
            name = f"{arm}, before RL"
            yield _cell_row(name, results, Cell(arm=arm, when="before"), columns)
        if arm in results.by_arm:
            yield _cell_row(arm, results, Cell(arm=arm), columns)
    for arm in study.arms if blank else ():
        if arm in results.by_arm:
            name = f"{arm}, blank image"
            yield _cell_row(name, results, Cell(arm=arm, image="blank"), columns)
    if results.scale is not None:
        yield from _baseline_rows(results.scale, columns)


def _baseline_rows(scale: Scale, columns: Sequence[Column]) -> Iterator[TableRow]:
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
    """Return how held-out questions are decoded."""
    temperature = study.protocol.training.temperature
    return f"one sample at temperature {temperature:g}" if temperature else "greedy"


def _accuracy_table(study: Study, results: Results, blank: bool) -> str:
    columns = _columns(study)
    table = markdown_table(list(_accuracy_rows(study, results, columns, blank)), columns)
    how = _answered(study)
    return (
        f"{table}\nPercentage of right answers on held-out maps, {how}; of planning also those "
        "without a surplus leg; detail of planning from 0 to 10; `all` weights types equally.\n"
    )


def _signal_table(study: Study, results: Results) -> str:
    heads = ("first tenth", "… binary", "whole run", "… binary")
    lines = ["| arm | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    for arm in study.arms:
        cells = []
        for when in ("before", "after"):
            for metric in GROUP_METRICS:
                cell = Cell(arm=arm, when=when)
                spread = seed_interval(
                    cell_samples(results, cell, metric), f"{cell.title}/{metric}"
                )
                cells.append(_percent(spread))
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    lines.append(
        "\nPercentage of planning groups whose answers all earn the same reward: the arm's own, or "
        "a binary one. First tenth: of the steps that train planning.\n"
    )
    return "\n".join(lines)


def _percent(spread: SeedInterval | None) -> str:
    if spread is None:
        return "–"
    return f"{100 * spread.mean:.1f} [{100 * spread.low:.1f}, {100 * spread.high:.1f}]"


_SHARES: Final = tuple(name for name in INDICATORS if name not in ("surplus", "characters"))


def _hacking_table(results: Results) -> str:
    """Return the indicators of planning answers, mean over seeds."""
    names = list(INDICATORS)
    heads = " | ".join(name.replace("_", " ") for name in names)
    lines = [f"| arm | {heads} |", "|---|" + "---:|" * len(names)]
    for arm, seeds in results.by_arm.items():
        for when in ("before", "after"):
            found = [one.reward_hacking.get(when, {}).get(PLANNING, {}) for one in seeds.values()]
            cells = [
                _indicator(name, [one[name] for one in found if name in one]) for name in names
            ]
            lines.append(f"| {arm}, {when} | " + " | ".join(cells) + " |")
    meanings = "; ".join(f"{name.replace('_', ' ')}: {text}" for name, text in INDICATORS.items())
    return "\n".join([*lines, "", f"Answers to planning questions. {meanings}.\n"])


def _indicator(name: str, values: Sequence[float]) -> str:
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
    return "\n".join([*lines, "", _cost(results)])


def _cost(results: Results) -> str:
    hours = sum(one.seconds for one in results.all) / 3600
    versions = ", ".join(f"{name} {one}" for name, one in results.all[0].versions.items())
    return f"{len(results.all)} runs took {hours:.1f} h in total. {versions}.\n"


# The page


def write_page(study: Study, page: Path) -> list[Path]:
    """Write protocol and results into a page between their marks, its figures, and the report.

    Args:
        study: The study; results may be incomplete or missing.
        page: A Markdown file with the marks; created if missing.

    Returns:
        The files written.

    Raises:
        ConfigError: Results were made with another protocol.
        DataError: Results cannot be read, or the page lacks a mark.
    """
    results = load_results(study)
    text = (
        page.read_text(encoding="utf-8")
        if page.is_file()
        else _new_page(study.protocol.title, _PARTS)
    )
    text = _between(text, "protocol", protocol_text(study), page)
    text = _between(text, "results", results_text(study, results), page)
    contents = {page: text.encode()}
    if results.all:
        images = page.parent / "images"
        contents[images / "evidence_accuracy.png"] = accuracy_figure(results)
        contents[images / "evidence_signal.png"] = signal_figure(results)
        contents[study.out / "reward.png"] = reward_figure(results)
        contents[study.out / REPORT_NAME] = report_text(study, results).encode()
    return _write(contents, page)


def write_gains(studies: Mapping[str, Study], page: Path) -> list[Path]:
    """Write conditions and gains into a page between their marks, and the figure beside it.

    Args:
        studies: A study by condition; conditions without results are left out of the gains.
        page: A Markdown file with the marks; created if missing.

    Returns:
        The files written.

    Raises:
        ConfigError: Results were made with another protocol.
        DataError: Results cannot be read, or the page lacks a mark.
    """
    loaded = {name: load_results(study) for name, study in studies.items()}
    results = {name: one for name, one in loaded.items() if one.all}
    gains = all_gains(results)
    text = "No results yet."
    contents: dict[Path, bytes] = {}
    if gains:
        text = (
            f"{gains_table(gains, results)}\n{_GAINS_NOTE}\n"
            "![Gains over the baseline by accuracy before training](images/evidence_gains.png)\n\n"
            f"{_PERCEPTION_NOTE}\n\n{perception_table(results)}"
        )
        contents[page.parent / "images" / "evidence_gains.png"] = gains_figure(gains)
    old = page.read_text(encoding="utf-8") if page.is_file() else _new_page("Gains", _GAINS_PARTS)
    old = _between(old, "conditions", _conditions_text(studies, loaded), page)
    return _write({page: _between(old, "gains", text, page).encode(), **contents}, page)


def _conditions_text(studies: Mapping[str, Study], loaded: Mapping[str, Results]) -> str:
    lines = [
        "| condition | start | trained trips | learning rate | KL | replay | runs |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    for name, study in studies.items():
        training = study.protocol.training
        lines.append(
            f"| {name} | {_start(study)} | {_trips(training.transfers)} "
            f"| {training.learning_rate:g} | {training.kl:g} "
            f"| {training.replay:g} | {len(loaded[name].all)} |"
        )
    return "\n".join(lines)


def _trips(transfers: Sequence[int] | None) -> str:
    return "all" if transfers is None else f"{', '.join(map(str, transfers))} transfers"


def _write(contents: Mapping[Path, bytes], page: Path) -> list[Path]:
    with disk_errors(page):
        for path, content in contents.items():
            write_bytes(path, content)
    return list(contents)


def _new_page(title: str, parts: Iterable[str]) -> str:
    sections = [f"# {title}\n"]
    for name in parts:
        begin, end = _MARKS[name]
        sections.append(f"## {name.capitalize()}\n\n{begin}\n{end}\n")
    return "\n".join(sections)


def _between(text: str, name: str, content: str, page: Path) -> str:
    begin, end = _MARKS[name]
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        hint = f"Add the lines {begin!r} and {end!r} where the {name} section belongs."
        raise DataError(page, found=f"no {name} section", hint=hint)
    return f"{before}{begin}\n\n{content.strip()}\n\n{end}{after}"
