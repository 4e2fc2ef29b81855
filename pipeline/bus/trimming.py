"""Keeping a shared stream short without taking anything from a consumer group that has not handled it."""

from typing import Any

from edx_event_bus_redis.internal.config import get_full_topic
from redis import Redis

from pipeline.bus.positions import NEVER, entry_key, groups

_CHUNK = 1_000


def trim(client: Redis, topic: str, max_length: int) -> int:
    """Trim a topic's stream towards ``max_length`` entries; return how many went.

    1. Look for the oldest entry that any group still needs; without a group, or with one that was given nothing yet,
    nothing is trimmed: whoever is to read the stream has not come. 2. Look for the entry with which the last
    ``max_length`` begin. 3. Trim what is before both. Entries added meanwhile are at the other end, and groups only
    move on: may be repeated, and run in several processes at once. Raises redis.exceptions.RedisError.
    """
    stream = get_full_topic(topic)
    surplus = int(client.xlen(stream)) - max_length
    if surplus <= 0:
        return 0
    needed = min((group.needed_from for group in groups(topic, client)), key=entry_key, default=NEVER)
    if needed == NEVER:
        return 0
    keep_from = _handled_surplus_end(client, stream, surplus, needed)
    return int(client.xtrim(stream, minid=keep_from, approximate=False)) if keep_from else 0


def _handled_surplus_end(client: Redis, stream: str, surplus: int, needed: bytes) -> bytes | None:
    """The first entry to keep: ``surplus`` entries from the beginning, or ``needed`` if that comes earlier."""
    start = b"-"
    while surplus > 0:
        entries: Any = client.xrange(stream, min=start, max=b"(" + needed, count=min(surplus, _CHUNK))
        if not entries:
            return needed
        surplus -= len(entries)
        start = b"(" + entries[-1][0]
    remaining: Any = client.xrange(stream, min=start, count=1)
    return remaining[0][0] if remaining else None
