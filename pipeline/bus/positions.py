"""Where the consumer groups of a stream stand: what each has still to read, and what was trimmed before it was read."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from edx_event_bus_redis.internal.config import get_full_topic
from redis import Redis
from redis.exceptions import ResponseError

from pipeline.bus.connection import connect
from pipeline.bus.gap import Gap

_CHUNK = 1_000
_LAST_MILLISECOND = 253_402_300_799_000  # the end of the year 9999

MOST_COUNTED = 10_000
"""Entries that are counted one by one where a rough number will do; each is read whole for that."""

EntryKey = tuple[int, int]

NEVER = b"0-0"
"""The last delivered entry of a group that was given nothing yet."""


@dataclass(frozen=True)
class GroupPosition:
    """One consumer group: the last entry it was given, and the oldest one given but not acknowledged, if any."""

    name: str
    last_delivered: bytes
    oldest_pending: bytes | None
    pending: int

    @property
    def needed_from(self) -> bytes:
        """The oldest entry the group may still need: unacknowledged, or else the last one it was given.

        That last one is kept as a mark: as long as it is there, nothing after it can have been trimmed.
        """
        return self.oldest_pending or self.last_delivered


@dataclass(frozen=True)
class Backlog:
    """What waits for a group: how many entries, and when the oldest of them was added."""

    entries: int
    oldest: datetime | None


def entry_key(entry_id: bytes) -> EntryKey:
    """An entry id as numbers that sort as Redis sorts: milliseconds and sequence."""
    milliseconds, _, sequence = entry_id.partition(b"-")
    return int(milliseconds), int(sequence or 0)


def entry_time(entry_id: str) -> datetime:
    """When the server added the entry of this id; ids of other making than the server's own are cut to what a time may be."""
    milliseconds, _ = entry_key(entry_id.encode())
    return datetime.fromtimestamp(min(milliseconds, _LAST_MILLISECOND) / 1000, UTC)


def groups(topic: str, client: Redis | None = None) -> list[GroupPosition]:
    """All consumer groups of a topic, of whatever application; none when there is no such stream.

    Raises redis.exceptions.RedisError.
    """
    client = client or connect()
    stream = get_full_topic(topic)
    return [_position(client, stream, group) for group in _group_rows(client, stream)]


def unread(topic: str, group: str, client: Redis | None = None) -> int:
    """How many entries wait for a group: not delivered yet, or delivered and not acknowledged.

    A group that does not exist yet starts at the beginning, so everything waits for it. Counted entry by entry (the
    ``lag`` of Redis 7 counts trimmed entries and Redis 6.2 has none). Raises redis.exceptions.RedisError.
    """
    client = client or connect()
    stream = get_full_topic(topic)
    row = next((row for row in _group_rows(client, stream) if row["name"] == group.encode()), None)
    if row is None:
        return int(client.xlen(stream))
    return int(row["pending"]) + _count_after(client, stream, row["last-delivered-id"])


def backlog(topic: str, group: str, client: Redis | None = None) -> Backlog:
    """What waits for a group, as `unread` has it, but told cheaply however long it is.

    The server's own ``lag`` is taken where it has one, although that counts trimmed entries until the group reads on; else
    entries are counted up to `MOST_COUNTED`. Raises redis.exceptions.RedisError.
    """
    client = client or connect()
    stream = get_full_topic(topic)
    row = next((row for row in _group_rows(client, stream) if row["name"] == group.encode()), None)
    if row is None:
        first: Any = client.xrange(stream, count=1)
        return Backlog(int(client.xlen(stream)), entry_time(first[0][0].decode()) if first else None)
    unseen: Any = client.xrange(stream, min=b"(" + row["last-delivered-id"], count=1)
    held = client.xpending(stream, group)["min"]
    ids = [entry_id for entry_id, _ in unseen] + ([held] if held else [])
    lag = row.get("lag")
    not_delivered = _count_after(client, stream, row["last-delivered-id"], MOST_COUNTED) if lag is None else lag
    return Backlog(int(row["pending"]) + not_delivered, entry_time(min(ids, key=entry_key).decode()) if ids else None)


def gap_between(stream: str, group: str, since: bytes, until: bytes, count: int | None) -> Gap:
    """The gap from one entry id to another, which tell its times."""
    first, last = since.decode(), until.decode()
    return Gap(stream, group, first, last, count, first_time=entry_time(first), last_time=entry_time(last))


def find_gap(topic: str, group: str, client: Redis | None = None) -> Gap | None:
    """What was trimmed after the last entry that a group was given, if anything was.

    Streams are trimmed from their beginning, so nothing is missing as long as the last delivered entry is there.
    A group that was given nothing yet has no such mark. When exactly the read part was trimmed, Redis before 7
    cannot tell, and the answer is a gap of unknown size. Raises redis.exceptions.RedisError.
    """
    client = client or connect()
    # Redis 6.2 refuses any transaction while its memory is full, and only what looks like a gap needs one: its answers
    # are of one moment, so that entries added in between are not counted as lost.
    return _look_for_gap(topic, group, client, transaction=False) and _look_for_gap(
        topic, group, client, transaction=True
    )


def _look_for_gap(topic: str, group: str, client: Redis, *, transaction: bool) -> Gap | None:
    stream = get_full_topic(topic)
    look = client.pipeline(transaction=transaction)
    look.xinfo_groups(stream)
    look.xrange(stream, count=1)
    look.xlen(stream)
    rows, first, length = look.execute(raise_on_error=False)
    if isinstance(rows, Exception):
        _raise_unless_no_stream(rows)
        return None
    row = next((row for row in rows if row["name"] == group.encode()), None)
    if row is None or row["last-delivered-id"] == NEVER:
        return None
    after: bytes = row["last-delivered-id"]
    if not first or entry_key(first[0][0]) <= entry_key(after):
        return None
    lag = row.get("lag")
    count = None if lag is None else lag - length
    if count == 0:
        return None
    return gap_between(stream, group, after, first[0][0], count)


def _group_rows(client: Redis, stream: str) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = client.xinfo_groups(stream)
    except ResponseError as error:
        _raise_unless_no_stream(error)
        return []
    return rows


def _raise_unless_no_stream(error: Exception) -> None:
    """Raise the error, unless it says that there is no such stream: then there is nothing to tell."""
    if not (isinstance(error, ResponseError) and "no such key" in str(error)):
        raise error


def _position(client: Redis, stream: str, row: dict[str, Any]) -> GroupPosition:
    pending = client.xpending(stream, row["name"])
    return GroupPosition(
        name=row["name"].decode("utf-8", "replace"),
        last_delivered=row["last-delivered-id"],
        oldest_pending=pending["min"],
        pending=pending["pending"],
    )


def _count_after(client: Redis, stream: str, entry_id: bytes, most: float = math.inf) -> int:
    count = 0
    last: Any = entry_id
    while count < most and (entries := client.xrange(stream, min=b"(" + last, count=_CHUNK)):
        count += len(entries)
        last = entries[-1][0]
    return count
