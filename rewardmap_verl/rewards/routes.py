r"""Parser of a planned route: blocks of labeled lines, separated by lines of dashes.

``"Route Name: Line 1\nDeparture Stop: A Station\nArrival Stop: B Station"`` → one leg.

Labels are recognized anywhere and in any markup, JSON keys and table headers included, as long as
each precedes its value. A leg needs route name, departure stop and arrival stop; incomplete legs
are dropped. All legs of the answer form one route, except that

* the legs after the last "Final answer:", or in the last answer block, replace those before it;
* legs mentioned inside a sentence do not count if others stand on lines of their own;
* the same route written several times is that route.

Two different routes without such a mark are a hedge: together they are one wrong route.
Deviations from the requested format are collected in ``RouteAnswer.form_faults``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from types import MappingProxyType
from typing import Final, NamedTuple

from rewardmap_verl.rewards.marks import answer_block
from rewardmap_verl.rewards.route_grammar import (
    ARRIVAL,
    DEPARTURE,
    LABEL,
    LINE,
    REQUIRED,
    SPELLING,
    VIA_COUNT,
    VIA_NAMES,
    LegText,
    clean,
    field_of,
    name_list,
    number,
    table_cells,
)
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


_ORDER: Final = MappingProxyType(
    {name: i for i, name in enumerate((*REQUIRED, VIA_COUNT, VIA_NAMES))}
)
_ASKED_VIA: Final = MappingProxyType(
    {
        "": frozenset({frozenset(), frozenset({VIA_COUNT}), frozenset({VIA_NAMES})}),
        "short": frozenset({frozenset[str]()}),
        "long_count": frozenset({frozenset({VIA_COUNT})}),
        "long_via": frozenset({frozenset({VIA_NAMES})}),
    }
)
"""Optional lines allowed in a block, by form; an unknown form allows any of the three sets."""

_BY_SPELLING: Final = MappingProxyType({text[:-2]: name for name, text in SPELLING.items()})

_DASHES: Final = "-–—―−─ \t>"

_FINAL_MARK: Final = re.compile(
    r"(?:final|corrected)[ \t]{1,4}(?:answer|route|response)"
    r"|(?:final|corrected|my|the)?[ \t]{0,4}(?<![a-z])answer[*_ \t]{0,4}(?:is[*_ \t]{0,4})?:"
    r"|最终答案|最终路线|答案[是为:]",
    re.IGNORECASE | re.ASCII,
)
"""What announces the final answer; it replaces all routes before it."""

_MARKUP: Final = re.compile(r"\\[a-zA-Z]{1,20}|</?[a-zA-Z]{1,20}>")
"""LaTeX commands and tags; before a label they are not words."""

_MARK_LENGTH: Final = 200
"""Number of characters at the start of a line in which a final mark is looked for."""

_DIVIDER: Final = "--"
_PROSE: Final = "prose"
_FINAL: Final = "final"


class _Piece(NamedTuple):
    """A labeled value, or one of ``_DIVIDER``, ``_PROSE`` and ``_FINAL``."""

    name: str
    value: str
    exact: bool
    """True if it is spelled as requested at the start of its line, without markup."""
    inline: bool = False
    """True if words precede the label on its line."""


@dataclass(slots=True)
class _Block:
    """The fields of one leg, collected while parsing."""

    divided: bool
    """True if a line of dashes separates it from the block before it."""
    values: dict[str, str] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    twice: bool = False
    exact: bool = True
    inline: bool = False
    """True if words precede its labels on their line."""
    followed: bool = False
    """True if other text follows it."""

    @property
    def complete(self) -> bool:
        values = self.values
        return LINE in values and DEPARTURE in values and ARRIVAL in values

    @property
    def further(self) -> frozenset[str]:
        """The fields beyond the three required ones."""
        return frozenset(self.values) - frozenset(REQUIRED)

    def put(self, piece: _Piece) -> None:
        """Add a value. If repeated, the first departure and the last arrival count.

        The leg then runs from the first stop that it names to the last.
        """
        self.order.append(piece.name)
        self.exact = self.exact and piece.exact
        self.inline = piece.inline and (self.inline or not self.values)
        self.twice = self.twice or piece.name in self.values
        if piece.name == ARRIVAL or piece.name not in self.values:
            self.values[piece.name] = piece.value

    def leg(self) -> LegText:
        count = self.values.get(VIA_COUNT)
        names = self.values.get(VIA_NAMES)
        return LegText(
            self.values[LINE],
            self.values[DEPARTURE],
            self.values[ARRIVAL],
            number(count) if count else None,
            None if names is None else name_list(names),
        )


def _is_dashes(line: str) -> bool:
    return any(char in "-–—―−─" for char in line[:2]) and not line.strip(_DASHES)


def _line_pieces(line: str) -> Iterator[_Piece]:
    """Yield the labeled values of one line."""
    labels = list(LABEL.finditer(line))
    if not labels:
        return
    before = _MARKUP.sub("", line[: min(labels[0].start(), _MARK_LENGTH)])
    inline = any(map(str.isalpha, before))
    ends = [label.start() for label in labels[1:]] + [len(line)]
    for label, end in zip(labels, ends, strict=True):
        name = field_of(label.group(1))
        written = line[label.end() : end]
        exact = len(labels) == 1 and line.startswith(SPELLING[name])
        value = clean(written)
        yield _Piece(name, value, exact and _is_as_written(value, written), inline)


def _is_as_written(value: str, written: str) -> bool:
    """Return whether a value needed no cleaning; a name may end in a period ("Powell St.")."""
    return value.rstrip(".") == written.strip().rstrip(".")


class _Lines:
    """Lexer that turns the lines of a text into pieces."""

    def __init__(self) -> None:
        self.pieces: list[_Piece] = []
        self.waiting = False
        """True if the last label has no value on its line, so the next line may be its value."""
        self.columns: tuple[str, ...] = ()
        """Fields of the columns of the current table."""

    def read(self, line: str) -> None:
        """Add the pieces of one line that is not empty."""
        if self._requested(line) or ("|" in line and self._table_row(line)):
            return
        found = list(_line_pieces(line)) if ":" in line else []
        if found:
            if found[0].inline and _FINAL_MARK.search(line, 0, _MARK_LENGTH):
                self.pieces.append(_Piece(_FINAL, "", True))
                found = [piece._replace(inline=False) for piece in found]
            self.pieces += found
            self.waiting = not found[-1].value
        elif self.waiting and not _is_dashes(line):
            self.pieces[-1] = self.pieces[-1]._replace(value=clean(line), exact=False)
            self.waiting = False
        else:
            self._other(line)

    def _requested(self, line: str) -> bool:
        """Add a line exactly as requested, the common case, and return whether it is one."""
        spelled, _, written = line.partition(": ")
        name = _BY_SPELLING.get(spelled)
        if name is None or ":" in written:
            return False
        value = clean(written)
        self.pieces.append(_Piece(name, value, _is_as_written(value, written)))
        self.waiting = not value
        return True

    def _other(self, line: str) -> None:
        """Add a line without a label: dashes, a final mark, or prose."""
        self.waiting = False
        if not self.pieces:
            return
        if _is_dashes(line):
            exact = line.count("-") >= 2 and not line.strip("-")
            self.pieces.append(_Piece(_DIVIDER, "", exact))
        elif _FINAL_MARK.search(line, 0, _MARK_LENGTH):
            self.pieces.append(_Piece(_FINAL, "", True))
        elif self.pieces[-1].name != _PROSE:
            self.pieces.append(_Piece(_PROSE, "", True))

    def _table_row(self, line: str) -> bool:
        """Add a row of a Markdown table of legs, and return whether it is one."""
        cells = table_cells(line)
        fields = tuple(field_of(cell.rstrip(": ")) for cell in cells)
        if set(REQUIRED) <= set(fields):
            self.columns = fields
        elif len(cells) == 2 and fields[0]:
            self.pieces.append(_Piece(fields[0], clean(cells[1]), False))
        elif len(self.columns) != len(cells):
            self.columns = ()
            return False
        elif any(cell.strip("-: ") for cell in cells):
            self.pieces.append(_Piece(_DIVIDER, "", False))
            rows = zip(self.columns, cells, strict=True)
            self.pieces += [_Piece(name, clean(cell), False) for name, cell in rows if name]
        self.waiting = False
        return True


def _pieces(text: str) -> list[_Piece]:
    """Return labeled values, dashes, final marks and prose after the first label, in order."""
    lines = _Lines()
    for line in text.split("\n"):
        line = line.strip(" \t")
        if line:
            lines.read(line)
    return lines.pieces


def _sections(pieces: Sequence[_Piece]) -> list[list[_Block]]:
    """Group pieces into legs, and legs into sections that begin at a final mark.

    A leg ends at a line of dashes or where the next one clearly starts: at another route name, or
    at another departure after a complete leg.
    """
    sections: list[list[_Block]] = [[]]
    block: _Block | None = None
    for piece in pieces:
        blocks = sections[-1]
        if piece.name == _FINAL:
            sections.append([])
            block = None
        elif piece.name == _DIVIDER:
            block = None
            if blocks:
                blocks[-1].exact = blocks[-1].exact and piece.exact
        elif piece.name == _PROSE:
            if blocks:
                blocks[-1].followed = True
        elif piece.value:
            if block is None or _begins_anew(block, piece.name):
                block = _Block(divided=block is None)
                blocks.append(block)
            block.put(piece)
    return sections


def _begins_anew(block: _Block, name: str) -> bool:
    if name == LINE:
        return LINE in block.values
    return name == DEPARTURE and name in block.values and block.complete


def _answer_blocks(sections: Sequence[list[_Block]]) -> list[_Block]:
    """Return the blocks of the last section with a leg, without legs mentioned in a sentence."""
    for blocks in reversed(sections):
        if any(block.complete for block in blocks):
            own_lines = [block for block in blocks if not block.inline]
            return own_lines if any(block.complete for block in own_lines) else blocks
    return []


def _repeats(legs: Sequence[LegText]) -> int:
    """Return how often a route is written one after the other, 1 for once.

    The period is computed with the prefix function of Knuth, Morris and Pratt, in linear time.
    """
    if len(legs) == 1:
        return 1
    keys = [(leg.line.lower(), leg.departure.lower(), leg.arrival.lower()) for leg in legs]
    borders = [0] * len(keys)
    for i in range(1, len(keys)):
        length = borders[i - 1]
        while length and keys[i] != keys[length]:
            length = borders[length - 1]
        borders[i] = length + (keys[i] == keys[length])
    period = len(keys) - borders[-1]
    return len(keys) // period if len(keys) % period == 0 else 1


def _asked(further: set[frozenset[str]], form: str) -> bool:
    """Return whether all blocks have the same optional lines and the form allows them."""
    return len(further) <= 1 and further <= _ASKED_VIA[form]


def _is_ordered(block: _Block) -> bool:
    """Return whether the lines of a block are in the requested order."""
    if block.order == list(REQUIRED):
        return True
    return all(_ORDER[here] <= _ORDER[there] for here, there in pairwise(block.order))


def _form_faults(blocks: Sequence[_Block], around: bool, form: str) -> frozenset[FormFault]:
    faults = set()
    if not all(block.exact for block in blocks):
        faults.add(FormFault.LABELS)
    if not all(block.divided for block in blocks[1:]) or not all(map(_is_ordered, blocks)):
        faults.add(FormFault.BLOCKS)
    complete = all(block.complete and not block.twice for block in blocks)
    if not complete or not _asked({block.further for block in blocks}, form):
        faults.add(FormFault.FIELDS)
    if around or any(block.followed for block in blocks):
        faults.add(FormFault.AROUND)
    return frozenset(faults)


def _is_wrapped(text: str) -> bool:
    return "```" in text or "oxed{" in text


def _read_window(text: str, form: str, max_legs: int) -> RouteAnswer:
    region = _answer_region(text)
    blocks = _answer_blocks(_sections(_pieces(region)))
    legs = tuple(block.leg() for block in blocks if block.complete)
    if not legs:
        return RouteAnswer((), frozenset(), region)
    repeats = _repeats(legs)
    around = region is not text or _is_wrapped(text) or repeats > 1
    faults = _form_faults(blocks, around, form)
    return RouteAnswer(legs[: min(len(legs) // repeats, max_legs)], faults, region)


def _answer_region(text: str) -> str:
    """Return the content of the last answer block if it has a label, else the text."""
    block = answer_block(text) if "<" in text else None
    region = text if block is None or not LABEL.search(block[1]) else block[1]
    if "\\nDeparture" in region or "\\nArrival" in region:  # the route is in a JSON string
        return region.replace("\\n", "\n")
    return region


def read_route(response: object, form: str, limit: int, max_legs: int) -> RouteAnswer:
    """Read a route.

    Args:
        response: The model's response. Values that are not strings contain no leg.
        form: Requested form, see ``FORMS``.
        limit: Maximum number of characters to read, see
            ``answer_windows``.
        max_legs: Maximum number of legs to return.
    """
    for window in answer_windows(response, limit):
        answer = _read_window(window, form, max_legs)
        if answer.legs:
            return answer
    return RouteAnswer((), frozenset(), "")
