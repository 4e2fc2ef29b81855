"""Reading a Kafka topic as one consumer of a group, so that no message is lost whoever dies and whenever."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from edx_event_bus_kafka.internal.config import get_full_topic

from pipeline.bus.gap import Gap
from pipeline.bus.kafka import positions
from pipeline.bus.kafka.codec import Entry, entry
from pipeline.bus.kafka.connection import ANSWER_SECONDS, configuration
from pipeline.bus.kafka.patience import within
from pipeline.bus.positions import entry_key
from pipeline.bus.unavailable import BusUnavailable

logger = logging.getLogger(__name__)

BLOCK_SECONDS = 2.0
"""How long a read waits for news: short enough to stop within seconds of SIGTERM."""

GATHER_SECONDS = 0.02
"""How long what comes after the first message is waited for: a batch costs little more than one message."""

LEAVE_SECONDS = 3.0
"""How long signing off may take; with an answer before it, below the 10 seconds in which a process has to end."""

SESSION_MS = 30_000
"""After this without a sign of life a consumer counts as dead, and others get its partitions."""

HANG_MS = 60_000
"""After this without a read a consumer counts as dead too, and answers to a lost request to join are no longer waited for.

Longer than storing a batch takes while the database does not answer.
"""

HEARTBEAT_MS = 3_000

_SHARED_OUT_ANEW = (KafkaError.REBALANCE_IN_PROGRESS, KafkaError.ILLEGAL_GENERATION, KafkaError.UNKNOWN_MEMBER_ID)


class TopicReader:
    """One consumer of a consumer group, with the methods of `pipeline.bus.streams.StreamReader`.

    What the group has handled is its committed offset, which only `acknowledge` moves.  What `read` gave out and nobody
    acknowledged is read again, by this consumer or by the next owner of its partition.  Every method may raise
    confluent_kafka.KafkaException or BusUnavailable; calling `read` again is always safe.

    Where to begin is not left to Kafka, which would pass over what is missing: a group that is new to a partition begins with
    its oldest message, and one whose next message is gone tells `on_gap` and goes on with the oldest.  If `on_gap` or
    `on_forgotten` raises, so does `read`, and the same is told again next time.

    Args:
        topic: without prefix.
        group: the consumer group.
        on_gap: told of messages that were removed, or are passed over for `since`, before they were read.
        is_known: whether the group was ever begun.
        on_forgotten: told that it was, and that Kafka does not remember it.
        on_begun: told, each time before it begins to read, that Kafka remembers the group.
        since: the group goes on with the messages of this time, in the partitions that this consumer is given first.
    """

    def __init__(
        self,
        topic: str,
        group: str,
        *,
        on_gap: Callable[[Gap], None],
        is_known: Callable[[], bool],
        on_forgotten: Callable[[], None],
        on_begun: Callable[[], None],
        since: datetime | None = None,
    ) -> None:
        self.stream = get_full_topic(topic)
        self.group = group
        self._on_gap = on_gap
        self._is_known = is_known
        self._on_forgotten = on_forgotten
        self._on_begun = on_begun
        self._since = since
        self._assigned: list[int] = []
        self._unplaced: list[int] = []
        self._owes = False
        self._client = Consumer(
            configuration(
                group_id=group,
                enable_auto_commit=False,
                auto_offset_reset="error",
                session_timeout_ms=SESSION_MS,
                heartbeat_interval_ms=HEARTBEAT_MS,
                max_poll_interval_ms=HANG_MS,
            )
        )
        self._client.subscribe([self.stream], on_assign=self._take, on_revoke=self._leave, on_lost=self._leave)

    def read(self, count: int = 500) -> list[Entry]:
        """Up to ``count`` messages, waiting for news; [] when there are none.  May be repeated.

        1. If the last ones were not acknowledged, go back to what is committed.  2. Find out where to begin, in partitions
        that are new to this consumer.  3. Wait for a message, and gather those that follow at once.
        """
        if self._owes:
            self._start_over()
        try:
            if self._unplaced:
                self._place()
            first = self._client.poll(BLOCK_SECONDS)
            messages = [] if first is None else [first, *self._client.consume(count - 1, GATHER_SECONDS)]
            entries = [entry(message) for message in messages if self._is_readable(message)]
        except Exception:
            self._start_over()
            raise
        self._owes = bool(entries)
        return entries

    def acknowledge(self, entry_ids: Sequence[bytes]) -> None:
        """Commit that these entries, and all before them, need not be read again.  May be repeated.

        It is true whoever owns the partition by now, since what is before them was acknowledged before.  While partitions are
        shared out anew Kafka takes no commits; then they are read again.
        """
        following: dict[int, int] = {}
        for partition, offset in map(entry_key, entry_ids):
            following[partition] = max(following.get(partition, 0), offset + 1)
        ours = {partition: offset for partition, offset in following.items() if partition in self._assigned}
        if not self._commit(ours):
            logger.info("Topic %s is shared out anew; %d messages will be read again", self.stream, len(entry_ids))
            self._start_over()
        self._owes = False

    def close(self) -> None:
        """Leave the group: others get the partitions at once.  If no broker listens they get them after `SESSION_MS`."""
        try:
            within(LEAVE_SECONDS, self._client.close)
        except BusUnavailable as error:
            logger.info("Left topic %s without signing off: %s", self.stream, error)

    def _start_over(self) -> None:
        """Forget what was fetched: the next read begins with what is committed."""
        self._unplaced = self._assigned
        self._owes = False

    def _place(self) -> None:
        """Find out where to begin in each partition, note that on the bus, and begin.

        If partitions are shared out anew meanwhile, that is left to the next owner: to hear who it is one must read on, though
        nothing comes.
        """
        self._client.assign([])
        was_begun = self._is_known()  # before Kafka is asked, since another consumer may begin the group meanwhile
        known = positions.committed(self._client, self.stream)
        if was_begun and all(offset is None for offset in known.values()):
            self._on_forgotten()
        sought = self._sought()
        starts = {
            partition: self._start(partition, known.get(partition), sought.get(partition))
            for partition in self._unplaced
        }
        if not self._commit(
            {partition: offset for partition, offset in starts.items() if offset != known.get(partition)}
        ):
            return
        self._on_begun()
        self._since = None
        self._client.assign([TopicPartition(self.stream, partition, offset) for partition, offset in starts.items()])
        self._unplaced = []

    def _start(self, partition: int, committed: int | None, sought: int | None) -> int:
        """Where to begin; what is left out by that is told."""
        oldest, end = positions.bounds(self._client, self.stream, partition)
        start = oldest if committed is None or not oldest <= committed <= end else committed
        if sought is not None:
            start = sought
        if committed is not None and (committed < start or committed > end):
            gap = Gap(
                stream=self.stream,
                group=self.group,
                since=f"{partition}-{committed - 1}" if committed else f"{partition}-start",
                until=f"{partition}-{start}",
                count=start - committed if committed < start else None,
                last_time=positions.time_of(self.stream, partition, start) if start < end else None,
            )
            self._on_gap(gap)
        return start

    def _sought(self) -> dict[int, int]:
        """The offsets of the time to go on from; none if there is no such time."""
        if self._since is None:
            return {}
        milliseconds = int(self._since.timestamp() * 1000)
        asked = [TopicPartition(self.stream, partition, milliseconds) for partition in self._unplaced]
        found = self._client.offsets_for_times(asked, timeout=ANSWER_SECONDS)
        return {
            each.partition: each.offset if each.offset >= 0 else positions.bounds(self._client, self.stream, each.partition)[1]
            for each in found
        }  # fmt: skip

    def _commit(self, offsets: Mapping[int, int]) -> bool:
        """Whether Kafka took them, which it does not while partitions are shared out anew."""
        if not offsets:
            return True
        wanted = [TopicPartition(self.stream, partition, offset) for partition, offset in offsets.items()]
        try:
            for done in within(ANSWER_SECONDS, lambda: self._client.commit(offsets=wanted, asynchronous=False)):
                if done.error:
                    raise KafkaException(done.error)
        except KafkaException as error:
            if error.args[0].code() in _SHARED_OUT_ANEW:
                return False
            raise
        return True

    def _is_readable(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            self._start_over()  # retention overtook the reader
        else:
            logger.warning("Topic %s: %s", self.stream, error.name())
        return False

    def _take(self, client: Consumer, partitions: list[TopicPartition]) -> None:
        """These partitions are ours from now on; nothing is fetched before it is known from where."""
        self._assigned = self._unplaced = [each.partition for each in partitions]
        client.assign([])

    def _leave(self, client: Consumer, _partitions: list[TopicPartition]) -> None:
        """Our partitions are others' from now on; they begin with what is committed."""
        self._assigned = self._unplaced = []
        client.unassign()
