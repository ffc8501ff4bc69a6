"""From a source of maps to the folder that training reads.

Every city is one job: make or reuse its image, generate its questions. Jobs run in parallel and are
functions of their arguments, so the result does not depend on their number or order. Rows are put
together in one fixed order, and the manifest is written last.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from rewardmap_verl.drawing import MapStyle
from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.atomic import disk_errors, staging_folder, write_bytes
from rewardmap_verl.preparation.images import PixelBudget, store
from rewardmap_verl.preparation.manifest import (
    MANIFEST_NAME,
    Manifest,
    MapRecord,
    differences,
    hash_file,
    read_manifest,
    record_files,
    write_manifest,
)
from rewardmap_verl.preparation.map_cache import Finished, Shelf, code_hash, map_identity
from rewardmap_verl.preparation.rows import RowPlace, build_row, write_rows
from rewardmap_verl.preparation.settings import PrepareSettings
from rewardmap_verl.preparation.sources.base import City, Contents
from rewardmap_verl.preparation.sources.gtfs import read_gtfs
from rewardmap_verl.preparation.sources.local import check_root, read_local
from rewardmap_verl.preparation.sources.reasonmap import read_reasonmap
from rewardmap_verl.preparation.sources.synthetic import read_synthetic
from rewardmap_verl.preparation.tokens import check_length, text_counter
from rewardmap_verl.preparation.totals import shortfalls
from rewardmap_verl.questions.sampling import Quotas, generate_questions
from rewardmap_verl.questions.types import Question
from rewardmap_verl.transit.reader import network_to_json

__all__ = ["SPLITS", "Report", "Step", "json_bytes", "prepare"]

SPLITS: Final = ("train", "test")
_TEST_EVERY: Final = 4  # where one city gives both splits
_SHAPING_PACKAGES: Final = ("pillow", "pyarrow", "rewardmap-verl")
_TOKENIZER_FILES: Final = ("tokenizer*", "vocab*", "merges*", "chat_template*", "special_tokens*")


@dataclass(frozen=True, slots=True)
class Step:
    """A report of progress."""

    done: int
    """Maps that are finished."""
    total: int
    """Maps in all; 0 when the folder was up to date and nothing was done."""
    text: str
    """What has just been finished."""


Report = Callable[[Step], None]


def prepare(settings: PrepareSettings, report: Report = lambda step: None) -> Manifest:
    """Make the prepared folder ``settings.out``, or find that it is up to date.

    The folder is built beside its place and moved there as a whole; whatever goes wrong, an earlier
    folder stays as it was. Images that were finished before an interruption are used again.

    Args:
        settings: What to prepare.
        report: Called after each map.

    Returns:
        The manifest of the folder, as it stands there.

    Raises:
        DataError: Something in the source cannot be used, or the folder cannot be written.
        ConfigError: The settings do not fit the source.
    """
    contents = _read_source(settings)
    fingerprint = _fingerprint(settings, contents)
    current = None if settings.force else _up_to_date(settings.out, fingerprint)
    if current is not None:
        report(Step(0, 0, "up to date"))
        return current
    with (
        disk_errors(settings.out, "Finished maps are kept and not made twice."),
        staging_folder(settings.out, MANIFEST_NAME, resume=True) as building,
    ):
        shelf = Shelf(building, settings.out)
        done = _make_all(settings, contents, building, shelf, report)
        return _assemble(settings, contents, done, building, shelf, fingerprint)


def _read_source(settings: PrepareSettings) -> Contents:
    if settings.source == "local":
        folder = check_root(settings.root)
        return read_local(folder, settings.seed, settings.test_cities, settings.strict)
    if settings.source == "reasonmap":
        root = None if settings.root is None else check_root(settings.root)
        forms = settings.quotas.forms
        return read_reasonmap(settings.data, settings.maps_from, root, forms, settings.strict)
    if settings.source == "gtfs" and isinstance(settings.style, MapStyle):
        return read_gtfs(
            settings.feeds,
            settings.seed,
            settings.style,
            settings.test_cities,
            settings.route_types,
        )
    return read_synthetic(
        settings.seed,
        settings.train_maps,
        settings.test_maps,
        settings.networks,
        settings.style,
    )


def _fingerprint(settings: PrepareSettings, contents: Contents) -> str:
    """Hash all that decides the bytes of the folder."""
    tokenizer = [] if settings.tokenizer is None else sorted(_tokenizer_hashes(settings.tokenizer))
    parts = [
        settings.that_matter(),
        dict(contents.inputs),
        [_city_hash(city) for city in contents.cities],
        tokenizer,
        _versions(),
        code_hash("transit", "drawing", "questions", "rewards", "preparation"),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _city_hash(city: City) -> str:
    """Hash what a source says about a city."""
    questions = None if city.questions is None else [(s, asdict(q)) for s, q in city.questions]
    network = network_to_json(city.network)
    content = [city.key, city.difficulty, city.splits, city.picture.identity(), network, questions]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _tokenizer_hashes(folder: Path) -> Iterator[tuple[str, str]]:
    for pattern in _TOKENIZER_FILES:
        for path in folder.glob(pattern):
            if path.is_file():
                yield path.name, hash_file(path).sha256


def _versions() -> dict[str, str]:
    return {name: version(name) for name in _SHAPING_PACKAGES}


def _up_to_date(folder: Path, fingerprint: str) -> Manifest | None:
    """Return the manifest of a folder that is whole and was made from the same things."""
    try:
        manifest = read_manifest(folder)
    except DataError:
        return None
    same = manifest.fingerprint == fingerprint and not any(differences(manifest, folder))
    return manifest if same else None


@dataclass(frozen=True, slots=True)
class _Job:
    city: City
    identity: str
    finished: Finished | None  # the map, when it need not be made again


@dataclass(frozen=True, slots=True)
class _Done:
    city: City
    finished: Finished
    questions: tuple[tuple[str, Question], ...]  # each with its split


@dataclass(frozen=True, slots=True)
class _Task:
    """What all jobs share; it crosses to the worker processes."""

    building: Path
    budget: PixelBudget
    seed: int
    quotas: Quotas
    brief: bool

    def __call__(self, job: _Job) -> _Done:
        city = job.city
        finished = job.finished or self._make_map(city, job.identity)
        questions = city.questions
        if questions is None:
            questions = tuple(self._asked(city))
        return _Done(city, finished, questions)

    def _asked(self, city: City) -> Iterator[tuple[str, Question]]:
        """Generate questions, each with its split; every fourth of a type is test if both are."""
        seen: Counter[str] = Counter()
        for question in generate_questions(
            city.network, city.difficulty, self.seed, self.quotas, self.brief
        ):
            seen[question.type] += 1
            held_out = seen[question.type] % _TEST_EVERY == 0
            yield city.splits[-1 if held_out else 0], question

    def _make_map(self, city: City, identity: str) -> Finished:
        rendered = city.picture.render(self.budget)
        image = store(rendered.image, self.building, self.budget.patch)
        positions = ""
        if rendered.positions is not None:
            positions = f"positions/{city.key}.json"
            write_bytes(self.building / positions, json_bytes(rendered.positions))
        names = [name for name in (image.path, positions) if name]
        files = {name: hash_file(self.building / name) for name in names}
        return Finished(identity=identity, image=image, positions=positions, files=files)


def _make_all(
    settings: PrepareSettings,
    contents: Contents,
    building: Path,
    shelf: Shelf,
    report: Report,
) -> list[_Done]:
    """Do every job, and return the results in the order of the cities."""
    task = _Task(building, settings.budget, settings.seed, settings.quotas, settings.brief)
    jobs = [_job(city, settings.budget, shelf) for city in contents.cities]
    # The longest first, so that no process is left alone with one at the end.
    jobs.sort(key=lambda job: 0 if job.finished else -job.city.picture.effort())
    done: dict[str, _Done] = {}
    for result in _run(task, jobs, settings.workers):
        done[result.city.key] = result
        shelf.put(result.finished)
        report(Step(len(done), len(jobs), result.city.key))
    return [done[city.key] for city in contents.cities]


def _job(city: City, budget: PixelBudget, shelf: Shelf) -> _Job:
    identity = map_identity(f"{city.picture.identity()} {city.key}", budget)
    return _Job(city, identity, shelf.take(identity))


def _run(task: _Task, jobs: Sequence[_Job], workers: int) -> Iterator[_Done]:
    """Yield results as they come; with one worker, or one job, in this process."""
    count = min(workers or len(os.sched_getaffinity(0)), len(jobs))
    if count <= 1:
        yield from map(task, jobs)
        return
    # A fresh process for each worker: forking one that already runs threads may hang.
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(task, job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def json_bytes(value: object) -> bytes:
    """Write JSON for people and for comparison: equal values give equal bytes."""
    return (json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def _assemble(
    settings: PrepareSettings,
    contents: Contents,
    done: Sequence[_Done],
    building: Path,
    shelf: Shelf,
    fingerprint: str,
) -> Manifest:
    """Write rows, networks and, last of all, the manifest."""
    rows = _rows(settings, done)
    names = {name for item in done for name in item.finished.files}
    for split in SPLITS:
        write_rows(rows[split], building / f"{split}.parquet")
    for item in done:
        path = building / _network_path(item.city)
        write_bytes(path, json_bytes(network_to_json(item.city.network)))
    networks = {_network_path(item.city) for item in done}
    shelf.clear(keep=names | networks | {f"{split}.parquet" for split in SPLITS})
    manifest = Manifest(
        source=settings.source,
        seed=settings.seed,
        fingerprint=fingerprint,
        settings=settings.that_matter(),
        versions=_versions(),
        rows={split: len(rows[split]) for split in SPLITS},
        rows_by_type=_count(rows, lambda info: info["type"]),
        rows_by_difficulty=_count(rows, lambda info: info["difficulty_city"]),
        rows_by_city=_count(rows, lambda info: f"{info['country']}/{info['city']}"),
        longest_prompt={
            split: max(row["extra_info"]["prompt_tokens"] for row in rows[split])
            for split in SPLITS
        },
        maps=tuple(_map_record(item) for item in done),
        skipped=contents.skipped,
        notes=(*contents.notes, *_shortfalls(settings.quotas, done)),
        files=record_files(building),
    )
    write_manifest(manifest, building)
    return manifest


def _shortfalls(quotas: Quotas, done: Sequence[_Done]) -> Iterator[str]:
    """Say which maps gave fewer questions than asked for, if they were asked here."""
    counts = {
        item.city.key: Counter(question.type.value for _, question in item.questions)
        for item in done
        if item.city.questions is None
    }
    return shortfalls(counts, quotas)


def _network_path(city: City) -> str:
    return f"networks/{city.key}.json"


def _map_record(item: _Done) -> MapRecord:
    city, image = item.city, item.finished.image
    return MapRecord(
        country=city.network.country,
        city=city.network.city,
        splits=city.splits,
        difficulty=city.difficulty,
        lines=len(city.network.lines),
        stops=len(city.network.stops),
        identity=item.finished.identity,
        image=image.path,
        width=image.width,
        height=image.height,
        image_tokens=image.tokens,
        network=_network_path(city),
        positions=item.finished.positions,
    )


def _rows(settings: PrepareSettings, done: Iterable[_Done]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each split, by city and then in the order of the questions.

    Raises:
        DataError: A prompt is too long, or a split has no row.
    """
    count_text = text_counter(settings.tokenizer)
    rows: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    for item in done:
        image = item.finished.image
        for split, question in item.questions:
            where = f"{item.city.key}, {split} row {len(rows[split])} ({question.type.value})"
            length = check_length(
                where,
                image.tokens,
                count_text(question.text),
                settings.max_prompt_length,
                settings.budget.patch,
            )
            place = RowPlace(
                split=split,
                index=len(rows[split]),
                source=settings.source,
                network=_network_path(item.city),
                image=image.path,
                max_pixels=settings.budget.max_pixels,
                image_tokens=image.tokens,
                prompt_tokens=length,
            )
            rows[split].append(build_row(question, item.city.network, place))
    for split in SPLITS:
        if not rows[split]:
            raise DataError(
                f"{split}.parquet",
                hint="No question was left for it; raise the quotas or choose other test cities.",
            )
    return rows


def _count(
    rows: Mapping[str, Sequence[dict[str, Any]]], key: Callable[[dict[str, Any]], str]
) -> dict[str, dict[str, int]]:
    counted = {split: Counter(key(row["extra_info"]) for row in rows[split]) for split in rows}
    return {split: dict(sorted(numbers.items())) for split, numbers in counted.items()}
