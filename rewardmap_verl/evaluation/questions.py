"""The questions of an evaluation, read from a prepared folder.

Each question has a key derived from its content, and each set a fingerprint, so that answers to
other questions are detected wherever they come from.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation.map_score import ReferenceLeg, reference_plans
from rewardmap_verl.inputs.files import check_regular
from rewardmap_verl.preparation.manifest import read_manifest
from rewardmap_verl.preparation.paths import PICTURE_FORMATS, image_inside
from rewardmap_verl.rewards.ground_truth import GroundTruth, check_against_network
from rewardmap_verl.rewards.rows import NetworkFolder
from rewardmap_verl.transit.network import Network

__all__ = ["EvalQuestion", "EvalSet", "Mask", "make_questions", "read_questions"]

if TYPE_CHECKING:
    from PIL.Image import Image

_AGAIN = "Prepare the data again with `rewardmap prepare`."


class Mask(str, Enum):
    """What a model sees in place of the map; the papers mask it to measure what reading adds."""

    WITHOUT_MAP = "without map"
    """No image: the prompt has only text."""
    BLANK = "blank map"
    """A white image of the map's size."""


@dataclass(frozen=True, slots=True)
class EvalQuestion:
    """One question of the evaluation."""

    index: int
    """Its row in the split, from 0."""
    key: str
    """Hash of its text and gold answer; equal in every folder with this question."""
    truth: GroundTruth
    network: Network = field(repr=False)
    plans: tuple[tuple[ReferenceLeg, ...], ...] = field(repr=False)
    """The reference routes, resolved; empty for types other than planning."""
    prompt: str
    """The prompt, with ``<image>`` in place of the map."""
    gold: str
    """The ground truth as stored in the data; verl's dumps identify a question by it."""
    image: Path | None = None
    data_source: str = ""
    """verl's name of the question type, under which its validation logs accuracies."""
    blank: bool = False
    """Whether a white image takes the place of the map."""

    @property
    def text(self) -> str:
        """The prompt without ``<image>``."""
        return self.prompt.replace("<image>", "").strip()

    def picture(self) -> Image | None:
        """Return the image that belongs into the prompt, in RGB; ``None`` without one.

        Raises:
            DataError: The file is missing or damaged.
        """
        from PIL import Image

        if self.image is None:
            return None
        check_regular(self.image)
        try:
            with Image.open(self.image, formats=PICTURE_FORMATS) as image:
                return Image.new("RGB", image.size, "white") if self.blank else image.convert("RGB")
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise DataError(self.image, found=str(error), hint=_AGAIN) from None

    def masked(self, mask: Mask) -> EvalQuestion:
        """Return the question with its map masked; it keeps its key."""
        if mask is Mask.BLANK:
            return replace(self, blank=True)
        prompt = self.prompt.replace("<image>\n", "").replace("<image>", "")
        return replace(self, prompt=prompt, image=None)

    @property
    def section(self) -> str:
        """The section of the results that it counts for.

        ``"short"`` or ``"long"`` for planning, by the requested form; ``"plus"`` for
        ReasonMap-Plus; ``"further"`` for types beyond the papers.
        """
        if not self.truth.is_planning:
            return "further" if self.truth.type.spec.beyond_papers else "plus"
        return "long" if self.truth.form.startswith("long") else "short"


@dataclass(frozen=True, slots=True)
class EvalSet:
    """All questions of one evaluation."""

    name: str
    """Folder and split, for messages."""
    items: tuple[EvalQuestion, ...]
    folder: Path | None = None
    prompt_tokens: int = 0
    """Upper bound of the longest prompt in tokens; 0 if unknown."""
    source: str = ""
    """Source of the prepared folder: reasonmap, synthetic, local, …"""
    split_name: str = ""
    """Name of the split: test or train."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Rows of the source that the prepared folder left out, by reason."""
    others: tuple[EvalQuestion, ...] = ()
    """Questions of the split beyond the limit; answers to them are not foreign."""

    mask: Mask | None = None
    """What replaces the maps, if they are masked."""

    @property
    def split(self) -> tuple[EvalQuestion, ...]:
        """All questions of the split, regardless of the limit."""
        return self.items + self.others

    @property
    def counts(self) -> dict[str, int]:
        """Number of questions by section."""
        return dict(Counter(item.section for item in self.items))

    @property
    def fingerprint(self) -> str:
        """Hash of the split's keys in order; equal for equal questions."""
        digest = hashlib.sha256("\n".join(item.key for item in self.split).encode())
        return digest.hexdigest()[:16]

    def first(self, limit: int | None) -> EvalSet:
        """Return the first ``limit`` questions; the fingerprint stays that of the split."""
        if limit is None or limit >= len(self.items):
            return self
        kept, others = self.items[:limit], self.items[limit:]
        return replace(self, name=f"{self.name}, first {limit}", items=kept, others=others)

    def masked(self, mask: Mask) -> EvalSet:
        """Return the questions with their maps masked; keys and fingerprint stay."""
        return replace(self, mask=mask, items=tuple(item.masked(mask) for item in self.items))


def _key(text: str, gold: str, seen: Counter[str]) -> str:
    digest = hashlib.sha256(f"{text}\0{gold}".encode("utf-8", "backslashreplace")).hexdigest()[:16]
    seen[digest] += 1
    return digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"


def make_questions(
    name: str,
    rows: Iterable[Mapping[str, Any]],
    networks: NetworkFolder,
    folder: Path | None = None,
) -> EvalSet:
    """Build an evaluation set from rows in verl's format.

    Raises:
        DataError: A row cannot be used; names city, row and field.
    """
    seen: Counter[str] = Counter()
    items = tuple(_question(i, row, networks, folder, name, seen) for i, row in enumerate(rows))
    if not items:
        raise DataError(name, hint=f"It has no questions. {_AGAIN}")
    return EvalSet(name, items, folder)


def _question(
    index: int,
    row: Mapping[str, Any],
    networks: NetworkFolder,
    folder: Path | None,
    name: str,
    seen: Counter[str],
) -> EvalQuestion:
    where = f"{name}, row {index}"
    gold = str(_field(row, "reward_model", where).get("ground_truth") or "")
    truth = GroundTruth.from_json(gold, where)
    network = networks.get(truth, where)
    check_against_network(truth, network, where)
    messages = row.get("prompt")
    if not isinstance(messages, list) or not all(isinstance(one, Mapping) for one in messages):
        raise DataError(where, "prompt", messages, f"It must be a list of messages. {_AGAIN}")
    prompt = "\n".join(str(message.get("content")) for message in messages)
    images = row.get("images") or []
    image = None
    if folder is not None and images:
        entry = _field({"images": images[0]}, "images", where)
        image = image_inside(folder, str(entry.get("image")), where, "images.image")
    return EvalQuestion(
        index=index,
        key=_key(prompt, truth.to_json(), seen),
        truth=truth,
        network=network,
        plans=reference_plans(truth, network, where),
        prompt=prompt,
        gold=gold,
        image=image,
        data_source=str(row.get("data_source") or f"rewardmap/{truth.type}"),
    )


def _field(row: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    """Return a field that must be a mapping.

    Raises:
        DataError: It is missing or something else.
    """
    value = row.get(name)
    if not isinstance(value, Mapping):
        raise DataError(where, name, value, f"It must be a mapping. {_AGAIN}")
    return value


def read_questions(folder: Path, split: str = "test") -> EvalSet:
    """Read one split of a prepared folder.

    Raises:
        DataError: The folder is incomplete, the split is missing, or a row cannot be used.
    """
    manifest = read_manifest(folder)
    path = folder / f"{split}.parquet"
    if not path.is_file():
        raise DataError(path, hint=f"There is no such split. {_AGAIN}")
    longest = manifest.longest_prompt.get(split, 0)
    networks = NetworkFolder(folder / "networks")
    found = make_questions(f"{folder}, {split}", _rows(path), networks, folder)
    return replace(
        found,
        prompt_tokens=longest,
        source=manifest.source,
        split_name=split,
        dropped=manifest.dropped.get(split, {}),
    )


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    from rewardmap_verl.inputs.parquet import parquet_rows  # slow to import

    yield from parquet_rows(path, ["data_source", "prompt", "images", "reward_model"])
