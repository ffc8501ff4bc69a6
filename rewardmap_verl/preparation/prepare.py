"""Build a prepared folder: maps and networks from a source become the rows that training reads.

Each city is one job, and jobs run in parallel (``map_jobs``). The
rows are assembled in a fixed order, and the manifest is written last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.preparation.atomic import disk_errors, json_bytes, staging_folder, write_bytes
from rewardmap_verl.preparation.fingerprint import fingerprint, package_versions, up_to_date
from rewardmap_verl.preparation.manifest import (
    MANIFEST_NAME,
    Manifest,
    MapRecord,
    record_files,
    write_manifest,
)
from rewardmap_verl.preparation.map_cache import MapCache
from rewardmap_verl.preparation.map_jobs import (
    FinishedCity,
    MapProgress,
    ReportProgress,
    run_jobs,
)
from rewardmap_verl.preparation.rows import RowContext, build_row, write_rows
from rewardmap_verl.preparation.settings import PrepareSettings
from rewardmap_verl.preparation.sources.base import City, Contents
from rewardmap_verl.preparation.sources.gtfs import read_gtfs
from rewardmap_verl.preparation.sources.local import check_root, read_local
from rewardmap_verl.preparation.sources.reasonmap import read_reasonmap
from rewardmap_verl.preparation.sources.synthetic import read_synthetic
from rewardmap_verl.preparation.tokens import TokenCounter, check_length, text_counter
from rewardmap_verl.preparation.totals import shortfalls
from rewardmap_verl.questions.sampling import Quotas
from rewardmap_verl.questions.types import Question
from rewardmap_verl.transit.reader import network_to_json

__all__ = ["SPLITS", "prepare", "prepare_contents"]

SPLITS: Final = ("train", "test")
_SHOWN: Final = 10

_Row = dict[str, Any]
_Rows = dict[str, list[_Row]]
"""Rows by split."""


def prepare(settings: PrepareSettings, report: ReportProgress = lambda progress: None) -> Manifest:
    """Build the prepared folder ``settings.out``, unless it is up to date.

    The folder is built beside its destination and put into place when it is complete. After a
    failure, an earlier folder is unchanged, and the next run reuses the images that were finished.

    Args:
        settings: What to prepare.
        report: Called after each map.

    Returns:
        The manifest of the folder.

    Raises:
        DataError: The source cannot be used, or the folder cannot be written.
        ConfigError: The settings do not fit the source.
    """
    return prepare_contents(settings, _read_source(settings), report)


def prepare_contents(
    settings: PrepareSettings,
    contents: Contents,
    report: ReportProgress = lambda progress: None,
) -> Manifest:
    """Prepare maps that the caller supplies, with the guarantees of ``prepare``.

    Args:
        settings: What to prepare; a caller's own maps have the source ``custom``.
        contents: The maps. Their pictures must be picklable, since workers render them.
        report: Called after each map.

    Returns:
        The manifest of the folder.

    Raises:
        DataError: A map cannot be used, or the folder cannot be written.
    """
    expected = fingerprint(settings, contents)
    current = None if settings.force else up_to_date(settings.out, expected)
    if current is not None:
        report(MapProgress(0, 0, "up to date"))
        return current
    with (
        disk_errors(settings.out, "Finished maps are kept and not made twice."),
        staging_folder(settings.out, MANIFEST_NAME, resume=True) as building,
    ):
        cache = MapCache(building, settings.out)
        done = run_jobs(settings, contents.cities, building, cache, report)
        return _assemble(settings, contents, done, building, cache, expected)


def _read_source(settings: PrepareSettings) -> Contents:
    if settings.source == "local":
        folder = check_root(settings.root)
        return read_local(folder, settings.seed, settings.test_cities, settings.strict)
    if settings.source == "reasonmap":
        root = None if settings.root is None else check_root(settings.root)
        forms = settings.quotas.forms
        return read_reasonmap(settings.data, settings.maps_from, root, forms, settings.strict)
    if settings.source == "gtfs":
        return read_gtfs(
            settings.feeds,
            settings.seed,
            settings.style,
            settings.test_cities,
            settings.route_types,
        )
    if settings.source == "custom":
        hint = "Call prepare_contents with the maps of a custom source."
        raise ConfigError("prepare", "source", settings.source, hint)
    return read_synthetic(
        settings.seed,
        settings.train_maps,
        settings.test_maps,
        settings.networks,
        settings.style,
    )


def _assemble(
    settings: PrepareSettings,
    contents: Contents,
    done: Sequence[FinishedCity],
    building: Path,
    cache: MapCache,
    expected: str,
) -> Manifest:
    """Write rows and networks, and then the manifest."""
    rows = _rows(settings, contents, done)
    written = {name for item in done for name in item.map.files}
    for split in SPLITS:
        write_rows(rows[split], building / f"{split}.parquet")
        written.add(f"{split}.parquet")
    for item in done:
        name = _network_path(item.city)
        write_bytes(building / name, json_bytes(network_to_json(item.city.network)))
        written.add(name)
    cache.clear(keep=written)
    manifest = _manifest(settings, contents, done, rows, building, expected)
    write_manifest(manifest, building)
    return manifest


def _manifest(
    settings: PrepareSettings,
    contents: Contents,
    done: Sequence[FinishedCity],
    rows: _Rows,
    building: Path,
    expected: str,
) -> Manifest:
    return Manifest(
        source=settings.source,
        seed=settings.seed,
        fingerprint=expected,
        settings=settings.content_settings(),
        versions=package_versions(),
        rows={split: len(rows[split]) for split in SPLITS},
        rows_by_type=_count(rows, lambda info: info["type"]),
        rows_by_difficulty=_count(rows, lambda info: info["difficulty_city"]),
        rows_by_city=_count(rows, lambda info: f"{info['country']}/{info['city']}"),
        longest_prompt={split: _longest_prompt(rows[split]) for split in SPLITS},
        maps=tuple(_map_record(item) for item in done),
        skipped=contents.skipped,
        dropped={split: dict(counts) for split, counts in contents.dropped.items()},
        notes=(*contents.notes, *_shortfalls(settings.quotas, done)),
        files=record_files(building),
    )


def _longest_prompt(rows: Sequence[_Row]) -> int:
    return max(row["extra_info"]["prompt_tokens"] for row in rows)


def _shortfalls(quotas: Quotas, done: Sequence[FinishedCity]) -> Iterator[str]:
    """Yield notes about maps with fewer questions than their quota; generated questions only."""
    counts = {
        item.city.key: Counter(question.type.value for _, question in item.questions)
        for item in done
        if item.city.questions is None
    }
    return shortfalls(counts, quotas)


def _network_path(city: City) -> str:
    return f"networks/{city.key}.json"


def _map_record(item: FinishedCity) -> MapRecord:
    city, image = item.city, item.map.image
    return MapRecord(
        country=city.network.country,
        city=city.network.city,
        splits=city.splits,
        difficulty=city.difficulty,
        lines=len(city.network.lines),
        stops=len(city.network.stops),
        identity=item.map.identity,
        image=image.path,
        width=image.width,
        height=image.height,
        image_tokens=image.tokens,
        network=_network_path(city),
        positions=item.map.positions,
        original=item.map.original,
    )


def _rows(settings: PrepareSettings, contents: Contents, done: Iterable[FinishedCity]) -> _Rows:
    """Return the rows of each split, ordered by city and then by question.

    Raises:
        DataError: A prompt is too long, or a split has no row.
    """
    count_text = text_counter(settings.tokenizer)
    rows: _Rows = {split: [] for split in SPLITS}
    for item in done:
        for split, question in item.questions:
            index = len(rows[split])
            rows[split].append(_row(settings, item, split, index, question, count_text))
    for split in SPLITS:
        if not rows[split]:
            raise DataError(f"{split}.parquet", hint=_no_questions(split, contents))
    return rows


def _no_questions(split: str, contents: Contents) -> str:
    """Explain why a split has no question."""
    cities = [city.key for city in contents.cities if split in city.splits]
    skipped = [f"{city.country}/{city.city}: {city.reason}" for city in contents.skipped]
    if cities:
        reason = f"Its cities gave no question: {', '.join(cities[:_SHOWN])}. Raise the quotas."
    else:
        reason = f"No {split} city is left. Choose other test cities."
    if skipped:
        reason += f" These cities were skipped: {'; '.join(skipped[:_SHOWN])}."
    return " ".join((reason, *contents.notes))


def _row(
    settings: PrepareSettings,
    item: FinishedCity,
    split: str,
    index: int,
    question: Question,
    count_text: TokenCounter,
) -> _Row:
    image, budget = item.map.image, settings.budget
    where = f"{item.city.key}, {split} row {index} ({question.type.value})"
    limit, text_tokens = settings.max_prompt_length, count_text(question.text)
    context = RowContext(
        split=split,
        index=index,
        source=settings.source,
        network=_network_path(item.city),
        image=image.path,
        max_pixels=budget.max_pixels,
        image_tokens=image.tokens,
        prompt_tokens=check_length(where, image.tokens, text_tokens, limit, budget.patch),
    )
    return build_row(question, item.city.network, context)


def _count(rows: _Rows, key: Callable[[Mapping[str, Any]], str]) -> dict[str, dict[str, int]]:
    """Count rows by split and by a key of their ``extra_info``."""
    counted = {split: Counter(key(row["extra_info"]) for row in rows[split]) for split in rows}
    return {split: dict(sorted(numbers.items())) for split, numbers in counted.items()}
