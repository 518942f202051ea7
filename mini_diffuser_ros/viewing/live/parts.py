"""What the page shows, part by part: the newest of each, and nothing that waits in a queue."""

from __future__ import annotations

import json
import math
import struct
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class PagePart:
    """One part of the page.

    Attributes:
        name: of the part.
        number: grows with each change.
        values: as JSON can hold them.
        content: bytes that go with them.
    """

    name: str
    number: int
    values: Mapping[str, Any]
    content: bytes = field(repr=False)


class NewestParts:
    """Parts by name. Any thread may put and ask; who asks seldom gets the newest, and misses those between."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parts: dict[str, PagePart] = {}
        self._number = 0

    def put(self, name: str, values: Mapping[str, Any], content: bytes = b"") -> None:
        """Replace a part; what is the same as before is no change."""
        with self._lock:
            before = self._parts.get(name)
            if before is not None and before.values == values and before.content == content:
                return
            self._number += 1
            self._parts[name] = PagePart(name=name, number=self._number, values=values, content=content)

    def drop(self, *names: str) -> None:
        """Have no such parts any more: who asks for all gets none of what was long ago."""
        with self._lock:
            for name in names:
                self._parts.pop(name, None)

    def newer_than(self, number: int) -> list[PagePart]:
        """Parts that changed after the change of this number, the latest last; 0 for all."""
        with self._lock:
            found = [part for part in self._parts.values() if part.number > number]
        return sorted(found, key=lambda part: part.number)


def frame_of(parts: Sequence[PagePart]) -> bytes:
    """Parts in one message: four bytes with the length of a JSON text, that text, and all contents one after another.

    The text is a list of ``{"name", "values", "size"}``, size in bytes. What is no
    number, as others may publish it, is null: a browser's JSON has no NaN.
    """
    entries = [{"name": part.name, "values": part.values, "size": len(part.content)} for part in parts]
    try:
        text = _json(entries)
    except ValueError:
        text = _json(_with_nulls(entries))
    return b"".join([struct.pack("<I", len(text)), text, *(part.content for part in parts)])


def _json(values: Any) -> bytes:
    return json.dumps(values, allow_nan=False, separators=(",", ":")).encode()


def _with_nulls(values: Any) -> Any:
    if isinstance(values, Mapping):
        return {name: _with_nulls(value) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [_with_nulls(value) for value in values]
    return None if isinstance(values, float) and not math.isfinite(values) else values
