"""Ground truth of a question: the gold answer and everything else that scoring needs.

It is stored as a JSON string in the parquet column ``reward_model.ground_truth``. Invalid data is
reported when it is loaded or prepared, not during training: ``GroundTruth.from_row`` checks
the fields and ``check_against_network`` the names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from rewardmap_verl.errors import DataError
from rewardmap_verl.inputs.parsing import parse_json
from rewardmap_verl.questions import wording
from rewardmap_verl.questions.types import Question, QuestionType, Reading
from rewardmap_verl.transit.difficulty import MapDifficulty, canonical_difficulty
from rewardmap_verl.transit.network import Network

__all__ = ["FORMS", "GroundTruth", "check_against_network"]

FORMS: Final = ("", *wording.FORMS)
"""Forms of a planning question; "" if the data does not specify one."""

_TRANSFERS_HINT: Final = "Give the number of transfers as an integer of 0 or more."

_MAX_COUNT: Final = 10_000
"""Largest accepted number of lines, stops or transfers."""


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """The gold answer to one question and what determines its weight.

    The fields are those of ``Question``.
    """

    type: QuestionType
    country: str
    city: str
    station_1: str
    station_2: str
    answer: int
    question_transfer_count: int
    difficulty_city: MapDifficulty
    line: str = ""
    form: str = ""
    plans: tuple[tuple[dict[str, Any], ...], ...] = ()
    annotation: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_question(cls, question: Question) -> GroundTruth:
        """Return the ground truth of a generated question.

        Raises:
            DataError: A field has a value that the type does not allow.
        """
        values = {name: getattr(question, name) for name in cls.__slots__}
        return cls.from_row({**values, "type": str(question.type)})

    @classmethod
    def from_json(cls, text: str, where: str = "ground_truth") -> GroundTruth:
        """Parse the output of ``to_json``.

        Raises:
            DataError: The text is not JSON, not an object, or has an invalid field.
        """
        try:
            row = parse_json(text)
        except (TypeError, ValueError) as error:
            hint = f"The value must be JSON ({error})."
            raise DataError(where, "ground_truth", text, hint) from None
        return cls.from_row(row, where)

    @classmethod
    def from_row(cls, row: object, where: str = "") -> GroundTruth:
        """Read and check a row of a parquet's ``extra_info``, a JSONL file or ReasonMap.

        Fields that scoring does not need may be missing; unknown fields are ignored.

        Args:
            row: The fields by name.
            where: Location of the row for error messages, in addition to its city.

        Raises:
            DataError: A field is invalid; the error names city, row and field.
        """
        if not isinstance(row, Mapping):
            raise DataError(where or "row", found=row, hint="A question must be a JSON object.")
        return _Reader(row, where).truth()

    def to_json(self) -> str:
        """Return one line of JSON; equal ground truths give equal text."""
        values = {**asdict(self), "type": str(self.type)}
        return json.dumps(values, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @property
    def is_planning(self) -> bool:
        """True if the answer is a route."""
        return self.type is QuestionType.PLANNING

    @property
    def options(self) -> tuple[object, ...]:
        """Options of a multiple-choice question; empty if the annotation does not list them."""
        options = self.annotation.get("options")
        return tuple(options[:4]) if isinstance(options, list | tuple) else ()

    def place(self, where: str = "") -> str:
        """Return city and row, for error messages."""
        return f"{self.country}/{self.city}" + (f", {where}" if where else "")


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reader of one row's fields, with an error message for each."""

    row: Mapping[str, Any]
    where: str

    def truth(self) -> GroundTruth:
        type = self.question_type()
        return GroundTruth(
            type=type,
            country=self.name("country"),
            city=self.name("city"),
            station_1=self.stop("station_1", type),
            station_2=self.stop("station_2", type),
            answer=self.answer(type),
            question_transfer_count=self.transfers(type),
            difficulty_city=self.difficulty(),
            line=self.text("line"),
            form=self.form(),
            plans=self.plans(),
            annotation=self.annotation(),
        )

    def fault(self, field: str, hint: str) -> DataError:
        place = "/".join(str(self.row.get(key) or "?") for key in ("country", "city"))
        found = self.row.get(field)
        return DataError(
            f"{place}, {self.where}" if self.where else place,
            field,
            "nothing" if found is None else found,
            hint,
        )

    def question_type(self) -> QuestionType:
        for type in QuestionType:
            if self.row.get("type") == type.value:
                return type
        known = ", ".join(type.value for type in QuestionType)
        raise self.fault("type", f"Use one of {known}.")

    def name(self, field: str) -> str:
        value = self.row.get(field)
        if not isinstance(value, str) or not value.strip():
            raise self.fault(field, "Give the name used in the folder of networks.")
        if value != value.strip() or "/" in value or "\\" in value or value in (".", ".."):
            raise self.fault(field, "It is used as a file name and must not contain a path.")
        return value

    def text(self, field: str) -> str:
        value = self.row.get(field)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.fault(field, "It must be text.")
        return value

    def stop(self, field: str, type: QuestionType) -> str:
        value = self.row.get(field)
        if field not in type.spec.stops:
            return value if isinstance(value, str) else ""
        if not isinstance(value, str) or not value.strip():
            raise self.fault(field, f"A {type} question needs a stop name here.")
        return value

    def number(self, field: str, low: int, high: int, hint: str) -> int:
        """Read an integer, also if another tool wrote it as 3.0, "3" or true."""
        value = self.row.get(field)
        if isinstance(value, str) and value.isascii() and value.removeprefix("-").isdigit():
            value = int(value) if len(value) <= 9 else None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or not low <= value <= high:
            raise self.fault(field, hint)
        return int(value)

    def answer(self, type: QuestionType) -> int:
        if type is QuestionType.PLANNING:
            return -1
        if type.reading is Reading.YES_NO:
            return self.number("answer", 0, 1, "Give 1 for yes or 0 for no.")
        if type.reading is Reading.OPTION:
            return self.number("answer", 0, 3, "Give the index of the right option, 0 to 3.")
        return self.number("answer", 0, _MAX_COUNT, "Give an integer of 0 or more.")

    def transfers(self, type: QuestionType) -> int:
        if type is not QuestionType.PLANNING:
            return 0
        field = "question_transfer_count"
        if isinstance(self.row.get(field), str | bool):
            raise self.fault(field, _TRANSFERS_HINT)
        return self.number(field, 0, _MAX_COUNT, _TRANSFERS_HINT)

    def difficulty(self) -> MapDifficulty:
        try:
            return canonical_difficulty(self.row.get("difficulty_city"))
        except DataError:
            raise self.fault("difficulty_city", "Give easy, middle (or medium), or hard.") from None

    def form(self) -> str:
        value = self.text("form")
        if value not in FORMS:
            raise self.fault("form", "Use short, long_count or long_via.")
        return value

    def plans(self) -> tuple[tuple[dict[str, Any], ...], ...]:
        plans = self.row.get("plans") or ()
        if not isinstance(plans, list | tuple) or not all(
            isinstance(plan, list | tuple) and all(isinstance(leg, dict) for leg in plan)
            for plan in plans
        ):
            raise self.fault("plans", "Give a list of routes, each a list of legs.")
        return tuple(tuple(plan) for plan in plans)

    def annotation(self) -> dict[str, Any]:
        value = self.row.get("annotation") or {}
        if not isinstance(value, dict):
            raise self.fault("annotation", "It must be a JSON object.")
        return value


def check_against_network(truth: GroundTruth, network: Network | None, where: str = "") -> None:
    """Check that the network has the stops and the line that a question names.

    Args:
        truth: The ground truth of the question.
        network: Network of its city, ``None`` if unknown.
        where: Location of the row for error messages, in addition to its city.

    Raises:
        DataError: A name is missing; the error names city, row and field.
    """
    place = truth.place(where)
    if network is None:
        raise DataError(
            place, "city", truth.city, "There is no network for this city; add its file."
        )
    if (network.country, network.city) != (truth.country, truth.city):
        found = f"{network.country}/{network.city}"
        raise DataError(place, "network", found, "Give the network of the question's city.")
    for name in truth.type.spec.stops:
        spelling = getattr(truth, name)
        if not network.find_stops(spelling):
            raise DataError(place, name, spelling, "The network has no stop with this name.")
    if truth.type.spec.names_line and truth.line and network.find_line(truth.line) is None:
        raise DataError(place, "line", truth.line, "The network has no line with this name.")
