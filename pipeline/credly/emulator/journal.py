"""The log of calls to the API: what came, what was answered. No secrets, names or addresses."""

from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from pipeline.credly.emulator.times import format_time

KEPT = 200_000
"""Entries kept; older ones fall out."""


@dataclass(slots=True)
class Entry:
    """One call. ``status`` is None until it is answered, and stays so when it never was.

    ``template`` and ``issuer_earner_id`` are those of an issue call, else None. ``organization`` is
    the one in the path.
    """

    sequence: int
    time: datetime
    method: str
    path: str
    organization: str | None
    template: str | None = None
    issuer_earner_id: str | None = None
    fault: str | None = None
    status: int | None = None

    def describe(self) -> dict[str, Any]:
        """The entry as the control API shows it."""
        return asdict(self) | {"time": format_time(self.time)}


class Journal:
    """The newest calls, in the order in which they came; sequence numbers are never used twice."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque(maxlen=KEPT)
        self._last = 0

    def open(self, **fields: Any) -> Entry:
        """Note a call that came in."""
        self._last += 1
        entry = Entry(self._last, **fields)
        self.entries.append(entry)
        return entry

    def since(self, sequence: int) -> Iterator[Entry]:
        """The calls after the given sequence number."""
        return (entry for entry in self.entries if entry.sequence > sequence)
