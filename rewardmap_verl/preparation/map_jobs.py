"""One job for each city: produce or reuse the map image, and generate the questions.

A job is a function of its arguments, so the result does not depend on the number of worker
processes or on the order in which they finish.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.atomic import json_bytes, write_bytes
from rewardmap_verl.preparation.images import store
from rewardmap_verl.preparation.manifest import hash_file
from rewardmap_verl.preparation.map_cache import FinishedMap, MapCache, map_identity
from rewardmap_verl.preparation.originals import store_original
from rewardmap_verl.preparation.settings import PrepareSettings
from rewardmap_verl.preparation.sources.base import City, FilePicture, Picture, Rendered
from rewardmap_verl.questions.sampling import generate_questions
from rewardmap_verl.questions.types import Question

__all__ = ["FinishedCity", "MapProgress", "ReportProgress", "run_jobs"]

_TEST_EVERY: Final = 4  # where one city provides both splits


@dataclass(frozen=True, slots=True)
class MapProgress:
    """Progress of a preparation."""

    done: int
    """Number of finished maps."""
    total: int
    """Number of maps; 0 when the folder was up to date and nothing was done."""
    text: str
    """The map that was just finished."""


ReportProgress = Callable[[MapProgress], None]


@dataclass(frozen=True, slots=True)
class FinishedCity:
    """A city with its finished map and its questions."""

    city: City
    map: FinishedMap
    questions: tuple[tuple[str, Question], ...]
    """Each question with its split."""


@dataclass(frozen=True, slots=True)
class _Job:
    city: City
    identity: str
    cached: FinishedMap | None


@dataclass(frozen=True, slots=True)
class _Task:
    """The work that all jobs share. It is pickled for the worker processes."""

    building: Path
    settings: PrepareSettings

    def __call__(self, job: _Job) -> FinishedCity:
        city = job.city
        finished = job.cached or self._make_map(city, job.identity)
        questions = city.questions
        if questions is None:
            questions = tuple(self._generate(city))
        return FinishedCity(city, finished, questions)

    def _generate(self, city: City) -> Iterator[tuple[str, Question]]:
        """Yield questions with their split; of a city with both, every fourth of a type is test."""
        seen: Counter[str] = Counter()
        settings = self.settings
        for question in generate_questions(
            city.network, city.difficulty, settings.seed, settings.quotas, settings.brief
        ):
            seen[question.type] += 1
            held_out = seen[question.type] % _TEST_EVERY == 0
            yield city.splits[-1 if held_out else 0], question

    def _make_map(self, city: City, identity: str) -> FinishedMap:
        budget = self.settings.budget
        rendered = city.picture.render(budget)
        image = store(rendered.image, self.building, budget.patch)
        positions = ""
        if rendered.positions is not None:
            positions = f"positions/{city.key}.json"
            write_bytes(self.building / positions, json_bytes(rendered.positions))
        original = self._store_original(city.picture, rendered, image.path)
        names = [name for name in (image.path, positions, original) if name]
        files = {name: hash_file(self.building / name) for name in names}
        return FinishedMap(
            identity=identity, image=image, positions=positions, original=original, files=files
        )

    def _store_original(self, picture: Picture, rendered: Rendered, image: str) -> str:
        if not self.settings.keep_originals:
            return ""
        if isinstance(picture, FilePicture):
            with picture.file() as path:
                return store_original(path, image, self.building)
        return store_original(rendered.original or rendered.image, image, self.building)


def run_jobs(
    settings: PrepareSettings,
    cities: Sequence[City],
    building: Path,
    cache: MapCache,
    report: ReportProgress,
) -> list[FinishedCity]:
    """Run all jobs and return their results in the order of ``cities``.

    Args:
        settings: Pixel budget, seed, quotas and number of workers.
        cities: The cities of the source.
        building: The folder that is being built.
        cache: Finished maps of earlier runs; new ones are added to it.
        report: Called after each map.

    Raises:
        DataError: A map cannot be read or drawn, or a worker process was killed.
    """
    task = _Task(building, settings)
    jobs = [_job(city, settings, cache) for city in cities]
    # The longest jobs first, so that no worker is left with one of them at the end.
    jobs.sort(key=lambda job: 0 if job.cached else -job.city.picture.effort())
    done: dict[str, FinishedCity] = {}
    for result in _results(task, jobs, settings.workers):
        done[result.city.key] = result
        cache.put(result.map)
        report(MapProgress(len(done), len(jobs), result.city.key))
    return [done[city.key] for city in cities]


def _job(city: City, settings: PrepareSettings, cache: MapCache) -> _Job:
    picture = f"{city.picture.identity()} {city.key}"
    identity = map_identity(picture, settings.budget, settings.keep_originals)
    return _Job(city, identity, cache.get(identity))


def _results(task: _Task, jobs: Sequence[_Job], workers: int) -> Iterator[FinishedCity]:
    """Yield results as they finish; in this process with one worker or one job."""
    count = min(workers or len(os.sched_getaffinity(0)), len(jobs))
    if count <= 1:
        yield from map(task, jobs)
        return
    try:
        yield from _parallel(task, jobs, count)
    except BrokenProcessPool as error:
        hint = "The system killed it, probably for lack of memory. Use fewer --workers."
        raise DataError("worker process", hint=hint) from error


def _parallel(task: _Task, jobs: Sequence[_Job], count: int) -> Iterator[FinishedCity]:
    """Run jobs in fresh processes that end with this process.

    The processes are spawned: a fork of a process that already runs threads may hang. Each worker
    watches a pipe whose other end only this process holds. After an error or a signal, the jobs
    that have been started are finished first: the executor waits forever for the rest of a result
    if a worker ends while it sends one.
    """
    context = get_context("spawn")
    reader, writer = context.Pipe(duplex=False)
    with reader, writer:
        pool = ProcessPoolExecutor(count, context, _start_worker, (reader,))
        try:
            futures = [pool.submit(task, job) for job in jobs]
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _start_worker(pipe: Connection) -> None:
    """Leave Ctrl-C to the parent process, and end when the other end of ``pipe`` is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_wait_and_exit, args=(pipe,), daemon=True).start()


def _wait_and_exit(pipe: Connection) -> None:
    pipe.poll(None)
    os._exit(1)
