"""Reading the compact protocol of Apache Thrift, in which parquet files describe themselves.

pyarrow ends the process for some damaged descriptions of a column (its ``RowGroupMetaData.column``
lets C++ exceptions pass), so the sizes in a footer are read here. Structs become dictionaries of
field number and value. The field types are those of the specification:
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

__all__ = ["CompactReader"]

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_INTEGERS: Final = (4, 5, 6)
_LONG_LIST: Final = 15
_MAX_DEPTH: Final = 16
_MAX_SHIFT: Final = 63


class CompactReader:
    """Reads values one after the other from bytes.

    Every method raises ``ValueError`` where the bytes end early or are not of this protocol.
    """

    def __init__(self, content: bytes) -> None:
        """Start at the first byte."""
        self._content = content
        self._at = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Read a struct."""
        return dict(self.fields(depth))

    def fields(self, depth: int = 0) -> Iterator[tuple[int, Any]]:
        """Yield number and value of each field of a struct, without reading ahead."""
        if depth > _MAX_DEPTH:
            raise ValueError("structs are nested too deeply")
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._integer()
            kind = head & 15
            boolean = kind in (_TRUE, _FALSE)
            yield number, kind == _TRUE if boolean else self._value(kind, depth + 1)

    def _value(self, kind: int, depth: int) -> Any:
        if kind in _INTEGERS:
            return self._integer()
        if kind == _BINARY:
            return self._take(self._varint())
        if kind == _STRUCT:
            return self.struct(depth)
        if kind in (_LIST, _SET):
            return self._list(depth)
        if kind == _MAP:
            return self._map(depth)
        if kind in (_TRUE, _FALSE, _BYTE):  # booleans of a list take a byte each
            return self._byte()
        if kind == _DOUBLE:
            return self._take(8)
        raise ValueError(f"there is no field type {kind}")

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        count = head >> 4 if head >> 4 != _LONG_LIST else self._varint()
        self._check(count)
        return [self._value(head & 15, depth) for _ in range(count)]

    def _map(self, depth: int) -> list[tuple[Any, Any]]:
        count = self._varint()
        self._check(count)
        kinds = self._byte() if count else 0
        return [
            (self._value(kinds >> 4, depth), self._value(kinds & 15, depth)) for _ in range(count)
        ]

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)  # zigzag

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) >= 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
            if shift > _MAX_SHIFT:
                raise ValueError("an integer has more than 64 bits")
        return value | byte << shift

    def _take(self, count: int) -> bytes:
        self._check(count)
        self._at += count
        return self._content[self._at - count : self._at]

    def _byte(self) -> int:
        self._check(1)
        self._at += 1
        return self._content[self._at - 1]

    def _check(self, count: int) -> None:
        """Check that ``count`` bytes are left; each element of a list or map has at least one."""
        if count > len(self._content) - self._at:
            raise ValueError("the description ends early")
