r"""Parser of a planned route: blocks of labeled lines, separated by lines of dashes.

``"Route Name: Line 1\nDeparture Stop: A Station\nArrival Stop: B Station"`` → one leg.

Labels are recognized anywhere and in any markup, as long as each precedes its value. A leg needs
route name, departure stop and arrival stop; incomplete legs are dropped. Deviations from the
requested format are collected in :attr:`RouteAnswer.form_faults`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from types import MappingProxyType
from typing import Final, NamedTuple

from rewardmap_verl.rewards.route_grammar import LABEL, LegText, clean, name_list, number
from rewardmap_verl.rewards.text import answer_windows

__all__ = ["FormFault", "LegText", "RouteAnswer", "read_route"]


class FormFault(str, Enum):
    """Kinds of deviation from the requested format."""

    LABELS = "labels"
    """A label is not spelled as requested at the start of its line, or its value has markup."""
    BLOCKS = "blocks"
    """The lines of a block are out of order, or two blocks are not separated by dashes."""
    FIELDS = "fields"
    """A block has a missing, an extra or a repeated line."""
    AROUND = "around"
    """There is text between, after or around the blocks (a fence, a box or a tag)."""


@dataclass(frozen=True, slots=True)
class RouteAnswer:
    """The route extracted from a response."""

    legs: tuple[LegText, ...]
    form_faults: frozenset[FormFault]
    text: str
    """The piece of the response that contains the route."""


_LINE: Final = "route name"
_DEPARTURE: Final = "departure stop"
_ARRIVAL: Final = "arrival stop"
_VIA_COUNT: Final = "number of via stops"
_VIA_NAMES: Final = "via stops"
_REQUIRED: Final = (_LINE, _DEPARTURE, _ARRIVAL)
_ORDER: Final = MappingProxyType(
    {name: i for i, name in enumerate((*_REQUIRED, _VIA_COUNT, _VIA_NAMES))}
)
_SPELLING: Final = MappingProxyType(
    {
        _LINE: "Route Name: ",
        _DEPARTURE: "Departure Stop: ",
        _ARRIVAL: "Arrival Stop: ",
        _VIA_COUNT: "Number of Via Stops: ",
        _VIA_NAMES: "Via Stops: ",
    }
)
"""The labels exactly as the question spells them."""

_ASKED_VIA: Final = MappingProxyType(
    {
        "": frozenset({frozenset(), frozenset({_VIA_COUNT}), frozenset({_VIA_NAMES})}),
        "short": frozenset({frozenset[str]()}),
        "long_count": frozenset({frozenset({_VIA_COUNT})}),
        "long_via": frozenset({frozenset({_VIA_NAMES})}),
    }
)
"""Optional lines allowed in a block, by form; an unknown form allows any of the three sets."""

_BY_SPELLING: Final = MappingProxyType({text[:-2]: name for name, text in _SPELLING.items()})

_DASHES: Final = "-–—―−─ \t>"


@dataclass(slots=True)
class _Block:
    """The fields of one leg, collected while parsing."""

    values: dict[str, str] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    twice: bool = False

    @property
    def complete(self) -> bool:
        return all(name in self.values for name in _REQUIRED)

    @property
    def further(self) -> frozenset[str]:
        """The fields beyond the three required ones."""
        return frozenset(self.values) - frozenset(_REQUIRED)

    def put(self, name: str, value: str) -> None:
        """Add a value. If repeated, the first departure and the last arrival count.

        The leg then runs from the first stop that it names to the last.
        """
        self.order.append(name)
        self.twice = self.twice or name in self.values
        if name == _ARRIVAL or name not in self.values:
            self.values[name] = value

    def leg(self) -> LegText:
        count = self.values.get(_VIA_COUNT)
        names = self.values.get(_VIA_NAMES)
        return LegText(
            self.values[_LINE],
            self.values[_DEPARTURE],
            self.values[_ARRIVAL],
            number(count) if count else None,
            None if names is None else name_list(names),
        )


class _Piece(NamedTuple):
    """A labeled value, or a line of dashes (``name`` is ``None``)."""

    name: str | None
    value: str
    exact: bool
    """True if the label is spelled as requested at the start of its line, without markup."""


def _kind(label: str) -> str:
    return " ".join(label.lower().split())


def _is_dashes(line: str) -> bool:
    return any(char in "-–—―−─" for char in line[:2]) and not line.strip(_DASHES)


def _line_pieces(line: str) -> Iterator[_Piece]:
    """Yield the labeled values of one line."""
    spelled, _, rest = line.partition(": ")
    if spelled in _BY_SPELLING and ":" not in rest:  # exactly as requested, the common case
        value = clean(rest)
        yield _Piece(_BY_SPELLING[spelled], value, value == rest.strip())
        return
    labels = list(LABEL.finditer(line))
    ends = [label.start() for label in labels[1:]] + [len(line)]
    for label, end in zip(labels, ends, strict=False):
        name = _kind(label.group(1))
        written = line[label.end() : end]
        exact = len(labels) == 1 and line.startswith(_SPELLING[name])
        value = clean(written)
        yield _Piece(name, value, exact and value == written.strip())


def _pieces(text: str) -> tuple[list[_Piece], bool]:
    """Return labeled values and dashes in order, and whether other text follows the first."""
    pieces: list[_Piece] = []
    waiting = False  # the last label has no value on its line, so the next line may be its value
    around = False
    for line in text.split("\n"):
        line = line.strip(" \t")
        if not line:
            continue
        found = list(_line_pieces(line)) if ":" in line else []
        if found:
            pieces += found
            waiting = not found[-1].value
        elif waiting and not _is_dashes(line):
            pieces[-1] = _Piece(pieces[-1].name, clean(line), False)
            waiting = False
        elif _is_dashes(line):
            waiting = False
            if pieces:
                pieces.append(_Piece(None, "", line.count("-") >= 2 and not line.strip("-")))
        else:
            around = around or bool(pieces)
    return pieces, around


def _wrapped(text: str) -> bool:
    return "```" in text or "oxed{" in text


def _blocks(pieces: list[_Piece]) -> tuple[list[_Block], bool]:
    """Group pieces into legs, and return whether all legs are separated by dashes.

    A leg ends at a line of dashes or where the next one clearly starts: at another route name
    after a stop, or at another departure after a complete leg.
    """
    blocks: list[_Block] = []
    divided = True
    block: _Block | None = None
    for piece in pieces:
        if piece.name is None:
            block = None
        elif piece.value:
            if block is None or _begins_anew(block, piece.name):
                divided = divided and block is None
                block = _Block()
                blocks.append(block)
            block.put(piece.name, piece.value)
    return blocks, divided


def _begins_anew(block: _Block, name: str) -> bool:
    if name == _LINE:
        return _LINE in block.values and len(block.values) > 1
    return name == _DEPARTURE and name in block.values and block.complete


def _asked(further: set[frozenset[str]], form: str) -> bool:
    """Return whether all blocks have the same optional lines and the form allows them."""
    return len(further) <= 1 and further <= _ASKED_VIA[form]


def _off_form(
    pieces: list[_Piece], blocks: list[_Block], divided: bool, around: bool, form: str
) -> frozenset[FormFault]:
    faults = set()
    if not all(piece.exact for piece in pieces):
        faults.add(FormFault.LABELS)
    if not divided or any(
        _ORDER[here] > _ORDER[there] for block in blocks for here, there in pairwise(block.order)
    ):
        faults.add(FormFault.BLOCKS)
    whole = all(block.complete and not block.twice for block in blocks)
    if not whole or not _asked({block.further for block in blocks}, form):
        faults.add(FormFault.FIELDS)
    if around:
        faults.add(FormFault.AROUND)
    return frozenset(faults)


def _read_window(text: str, form: str, max_legs: int) -> RouteAnswer:
    region = _answer_region(text)
    around = region is not text or _wrapped(text)
    pieces, among = _pieces(region)
    blocks, divided = _blocks(pieces)
    legs = tuple(block.leg() for block in blocks if block.complete)
    faults = _off_form(pieces, blocks, divided, among or around, form)
    return RouteAnswer(legs[:max_legs], faults, region)


def _answer_region(text: str) -> str:
    """Return the content of the last ``<answer>…</answer>`` if it has a label, else the text."""
    if "<" not in text:
        return text
    lowered = text.lower()
    if len(lowered) != len(text):  # lowercasing some characters changes the length
        return text
    begin = lowered.rfind("<answer>")
    if begin < 0:
        return text
    region = text[begin + len("<answer>") :]
    end = lowered.find("</answer>", begin)
    region = region if end < 0 else text[begin + len("<answer>") : end]
    return region if LABEL.search(region) else text


def read_route(response: object, form: str, limit: int, max_legs: int) -> RouteAnswer:
    """Read a route.

    Args:
        response: The model's response. Values that are not strings contain no leg.
        form: Requested form, see :data:`~rewardmap_verl.rewards.ground_truth.FORMS`.
        limit: Maximum number of characters to read, see
            :func:`~rewardmap_verl.rewards.text.answer_windows`.
        max_legs: Maximum number of legs to return.
    """
    for window in answer_windows(response, limit):
        answer = _read_window(window, form, max_legs)
        if answer.legs:
            return answer
    return RouteAnswer((), frozenset(), "")
