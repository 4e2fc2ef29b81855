"""Reading a Redis stream as one consumer of a group, so that no entry is lost whoever dies and whenever."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from edx_event_bus_redis.internal.config import get_full_topic
from redis.exceptions import RedisError, ResponseError

from pipeline.bus.connection import BLOCK_MS, connect
from pipeline.bus.gap import Gap
from pipeline.bus.positions import find_gap, gap_between

logger = logging.getLogger(__name__)

Entry = tuple[bytes, dict[bytes, bytes]]
"""A stream entry: its id and its fields."""

CLAIM_INTERVAL_SECONDS = 5.0

GATHER_SECONDS = 0.02
"""Between a read that found few new entries and the next: under load they come in dozens then, and a batch costs little more
than one entry.  What comes after a quiet while is read at once."""

# One step for the server: a successor of the same name may read between a look and the deletion.
_DELETE_IF_IT_HOLDS_NOTHING = """
if #redis.call("XPENDING", KEYS[1], ARGV[1], "-", "+", 1, ARGV[2]) == 0 then
    return redis.call("XGROUP", "DELCONSUMER", KEYS[1], ARGV[1], ARGV[2])
end
return 0
"""


def _log_gap(gap: Gap) -> None:
    logger.error("Events were lost on the bus: %s", gap)


class StreamReader:
    """One consumer of a consumer group.

    Entries given out by `read` stay with this consumer until `acknowledge`. What a consumer that died held is claimed
    by any other after ``claim_idle_ms``; so is what this one was given and did not acknowledge in that time, which
    spaces the attempts of a caller that keeps failing. Every method may raise redis.exceptions.RedisError; calling
    `read` again is always safe.

    ``on_gap`` is told of entries that were removed before they were handled, and before the reader goes on past them: if it
    raises, so does `read`, and the same gap is told again next time. By default it is logged as an error.
    ``on_forgotten`` is told, before the group is made again, that it is gone and with it whatever it had still to read.
    """

    def __init__(
        self,
        topic: str,
        group: str,
        consumer_name: str,
        *,
        claim_idle_ms: int = 30_000,
        on_gap: Callable[[Gap], None] = _log_gap,
        on_forgotten: Callable[[], None] = lambda: None,
    ) -> None:
        self.topic = topic
        self.stream = get_full_topic(topic)
        self.group = group
        self.consumer_name = consumer_name
        self._claim_idle_ms = claim_idle_ms
        self._on_gap = on_gap
        self._on_forgotten = on_forgotten
        self._client = connect()
        self._sought = False
        self._next_fresh = 0.0
        self._start_over()

    def ensure_group(self) -> None:
        """Create the group, and the stream, if missing: it starts at the beginning of the stream.

        A group that exists keeps its position. May be repeated.
        """
        try:
            self._client.xgroup_create(self.stream, self.group, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def group_exists(self) -> bool:
        """Whether the server knows the group."""
        try:
            groups: list[dict[str, Any]] = self._client.xinfo_groups(self.stream)
        except ResponseError as error:
            if "no such key" not in str(error):
                raise
            return False
        return any(group["name"] == self.group.encode() for group in groups)

    def seek(self, entry_id: str) -> None:
        """Make the whole group go on after this entry id ("0" the beginning, "$" the end). May be repeated.

        Entries already delivered to a consumer and not acknowledged stay with it.
        """
        self._client.xgroup_setid(self.stream, self.group, entry_id)
        self._sought = True

    def read(self, count: int = 500, block_ms: int = BLOCK_MS) -> list[Entry]:
        """Up to ``count`` entries, oldest first, waiting up to ``block_ms`` for news; [] when there are none.

        1. What this consumer was given before it (re)started or lost its connection, until all has been seen again.
        2. Every few seconds, what any consumer has held too long: it is claimed. 3. New entries.

        A group that is gone (a flushed or replaced server) is created again. An entry that was deleted before it was
        acknowledged cannot be read any more: it is reported and acknowledged. May be repeated.
        """
        try:
            return self._held(count) or self._claimed(count) or self._fresh(count, block_ms)
        except ResponseError as error:
            if not str(error).startswith(("NOGROUP", "UNBLOCKED")):
                raise
            logger.warning("Group %s of stream %s is gone: creating it again", self.group, self.stream)
            if not self.group_exists():  # several consumers find out at once
                self._on_forgotten()
            self.ensure_group()
            self._start_over()
            return []
        except RedisError:
            self._start_over()
            raise

    def acknowledge(self, entry_ids: Sequence[bytes]) -> None:
        """Tell the bus that these entries need not be delivered again. May be repeated."""
        if entry_ids:
            self._client.xack(self.stream, self.group, *entry_ids)

    def close(self) -> None:
        """Leave: delete this consumer from the group if it holds nothing, and close the connection.

        A consumer that holds entries stays, since deleting it would make them unreadable for everyone.
        """
        try:
            self._client.eval(_DELETE_IF_IT_HOLDS_NOTHING, 1, self.stream, self.group, self.consumer_name)
        except RedisError as error:
            logger.info("Consumer %s left without signing off: %s", self.consumer_name, type(error).__name__)
        finally:
            self._client.close()

    def _start_over(self) -> None:
        """Forget what is known about the server: the next read starts with the entries held from before."""
        self._held_after: bytes | None = b"0"
        self._next_claim = 0.0

    def _held(self, count: int) -> list[Entry]:
        while self._held_after is not None:
            entries = self._read_group(self._held_after, count)
            self._held_after = entries[-1][0] if entries else None
            if readable := self._without_deleted(entries):
                return readable
        return []

    def _claimed(self, count: int) -> list[Entry]:
        if time.monotonic() < self._next_claim:
            return []
        idle = self._client.xpending_range(self.stream, self.group, "-", "+", count, idle=self._claim_idle_ms)
        if len(idle) < count:
            self._next_claim = time.monotonic() + CLAIM_INTERVAL_SECONDS
        if not idle:
            return []
        entry_ids: list[Any] = [row["message_id"] for row in idle]
        # Before they are claimed: Redis 7 forgets what it can't hand over.
        deleted = self._drop_deleted(entry_ids)
        entry_ids = [entry_id for entry_id in entry_ids if entry_id not in deleted]
        if not entry_ids:
            return []
        entries: Any = self._client.xclaim(self.stream, self.group, self.consumer_name, self._claim_idle_ms, entry_ids)
        claimed: list[Entry] = [entry for entry in entries if entry[0]]
        logger.info("Claimed %d entries that other reads left unacknowledged", len(claimed))
        return claimed

    def _fresh(self, count: int, block_ms: int) -> list[Entry]:
        # Each time: also one at the end of the stream is overtaken, when it is stopped for a while.
        # After a seek, nothing says that an entry was ever there.
        if not self._sought and (gap := find_gap(self.topic, self.group, self._client)):
            self._on_gap(gap)
        time.sleep(max(0.0, self._next_fresh - time.monotonic()))
        entries = self._read_group(b">", count, block_ms)
        self._next_fresh = time.monotonic() + (GATHER_SECONDS if len(entries) < count else 0.0)
        self._sought = False
        return entries

    def _read_group(self, after: bytes, count: int, block_ms: int = 0) -> list[Entry]:
        answer: Any = self._client.xreadgroup(
            self.group, self.consumer_name, {self.stream: after}, count=count, block=block_ms or None
        )
        entries: list[Entry] = answer[0][1] if answer else []
        return entries

    def _without_deleted(self, entries: list[Entry]) -> list[Entry]:
        """An entry read again after its deletion comes with no fields, which no real entry has."""
        self._drop_deleted([entry_id for entry_id, fields in entries if not fields])
        return [(entry_id, fields) for entry_id, fields in entries if fields]

    def _drop_deleted(self, entry_ids: list[bytes]) -> list[bytes]:
        """Report, and only then acknowledge, those of these entries that the stream no longer holds; returns their ids."""
        look = self._client.pipeline(transaction=False)
        for entry_id in entry_ids:
            look.xrange(self.stream, min=entry_id, max=entry_id)
        found = look.execute() if entry_ids else []
        deleted = [entry_id for entry_id, entry in zip(entry_ids, found, strict=True) if not entry]
        if deleted:
            self._on_gap(gap_between(self.stream, self.group, deleted[0], deleted[-1], len(deleted)))
            self.acknowledge(deleted)
        return deleted
