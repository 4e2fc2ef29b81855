"""consume: from the event bus into the inbox.  Thin: no rule, no learner and no badge is known here."""

import logging
import os
import re
import signal
import socket
import sys
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any, Generic, NoReturn, Protocol, TypeVar

from django.db import close_old_connections, connection
from openedx_events.event_bus import EventBusConsumer

from pipeline import logs, measures, nudges, redis_servers
from pipeline.bus.ahead import ReadAhead
from pipeline.bus.codec import decode
from pipeline.bus.streams import Entry, StreamReader
from pipeline.ledgers import gaps, groups, inbox
from pipeline.switch import require_badges_enabled

logger = logging.getLogger(__name__)

BATCH = 500
"""Entries of one read: large enough that a backlog costs little per event, small enough to be stored within a second."""

CLAIM_IDLE_MS = 30_000
"""After this a consumer that holds entries counts as dead; storing a batch takes under a second."""

ENTRY_ID = re.compile(r"\d+(-\d+)?|\$")

FIRST_WAIT = 0.5
LONGEST_WAIT = 10.0
"""Seconds before trying again when the bus or the database is away, growing from the first to the longest."""


class Reader(Protocol):
    """One consumer's view of its topic.  What it gives out stays with the bus until it is acknowledged."""

    stream: str

    def read(self, count: int) -> list[Entry]:
        """Up to `count` entries; [] when there are none."""

    def acknowledge(self, entry_ids: Sequence[bytes]) -> None:
        """These entries need not be given out again."""

    def close(self) -> None:
        """Leave."""


ReaderT = TypeVar("ReaderT", bound=Reader)


class StoringConsumer(EventBusConsumer, Generic[ReaderT]):
    """What a consumer does whichever the bus is, run by Open edX's own `consume_events` command.

    `make_single_consumer` swallows whatever a constructor raises, so arguments are checked when it runs.
    """

    def __init__(self, topic: str, group_id: str, consumer_name: str | None, unknown: Mapping[str, Any]) -> None:
        self.topic = topic
        self.group_id = group_id
        self.consumer_name = consumer_name or default_consumer_name()
        self._unknown = unknown
        self._stopping = threading.Event()

    def consume_indefinitely(self) -> None:
        """Read, store, nudge, acknowledge, until SIGTERM or SIGINT.

        The bus or the database being away is waited for; a message that can't be read is stored as such.

        Raises:
            SystemExit: badges are switched off, or an argument is wrong; one line on standard error says which.
        """
        require_badges_enabled()
        self._check_arguments()
        redis_servers.warn()
        self._stop_on_signals()
        reader = self._open()
        self._until_stopped(lambda: self._enroll(reader), once=True)
        if not self._stopping.is_set():
            logger.info("Consumer %s of group %s reads %s", self.consumer_name, self.group_id, reader.stream)
        self._consume(reader)
        reader.close()
        logger.info("Consumer %s stopped", self.consumer_name)

    def stop(self) -> None:
        """End after the batch in hand."""
        self._stopping.set()

    @abstractmethod
    def _check_arguments(self) -> None:
        """End the process with a line about the first argument that is wrong."""

    @abstractmethod
    def _open(self) -> ReaderT:
        """The reader; nothing is asked of the bus yet."""

    @abstractmethod
    def _decode(self, entry_id: bytes, fields: Mapping[bytes, bytes], stream: str) -> inbox.Message:
        """What an entry says."""

    def _enroll(self, reader: ReaderT) -> None:
        """Make the group known, where that is not part of reading.  May be repeated."""

    def _consume(self, reader: ReaderT) -> None:
        """Take one batch after the other until told to stop."""
        self._until_stopped(lambda: self._consume_batch(reader))

    def _refuse_unknown(self, *allowed: str) -> None:
        if self._unknown:
            refuse(f"--extra: unknown key(s) {', '.join(sorted(self._unknown))}; allowed: {', '.join(allowed)}")

    def _stop_on_signals(self) -> None:
        def stop(_signal: int, _frame: FrameType | None) -> None:
            self.stop()

        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, stop)
            signal.signal(signal.SIGINT, stop)

    def _until_stopped(self, work: Callable[[], None], *, once: bool = False) -> bool:
        """Do the work again and again (or until it was done once), waiting longer each time that it fails.

        Returns:
            Whether the last attempt succeeded.
        """
        wait = FIRST_WAIT
        while not self._stopping.is_set():
            try:
                work()
                wait = FIRST_WAIT
                if once:
                    break
            except Exception as error:  # noqa: BLE001 - nothing that a batch causes is a reason to end; see promise 1
                logger.warning("Consumer %s tries again in %.1f s: %s", self.consumer_name, wait, type(error).__name__)
                close_old_connections()
                self._stopping.wait(wait)
                wait = min(wait * 2, LONGEST_WAIT)
        return wait == FIRST_WAIT

    def _consume_batch(self, reader: ReaderT) -> None:
        self._take(reader.read(BATCH), reader)

    def _take(self, entries: list[Entry], reader: ReaderT) -> None:
        """Store one read's messages, send the new ones to evaluation, and only then acknowledge them.

        Messages that the bus removed before they were read are recorded as a gap before anything after them is read.  May be
        repeated, and is after a crash between any two of these: known messages fall away.
        """
        if entries:
            with measures.batch("consume"):
                self._store(entries, reader.stream)
            reader.acknowledge([entry_id for entry_id, _ in entries])

    def _store(self, entries: list[Entry], stream: str) -> None:
        started = time.monotonic()
        messages = [self._decode(entry_id, fields, stream) for entry_id, fields in entries]
        new = inbox.store(messages, self.topic)
        nudges.evaluate(new)
        logs.name(logger, "Took", "event", [message.id for message in messages])
        measures.BUS_MESSAGES.add(len(messages))
        logger.info(
            "Consumer %s took %s messages, %s of them new, in %.0f ms",
            self.consumer_name,
            len(messages),
            len(new),
            (time.monotonic() - started) * 1000,
        )


class InboxConsumer(StoringConsumer[StreamReader]):
    """The consumer for `EVENT_BUS_CONSUMER` where the bus is Redis.

    Takes the stock consumer's arguments: `consumer_name`, `last_read_msg_id` (the whole group goes on after that entry),
    `claim_msgs_older_than` (milliseconds); `check_backlog` is accepted and means nothing, since unread backlog is always
    read.
    """

    def __init__(
        self,
        topic: str,
        group_id: str,
        consumer_name: str | None = None,
        last_read_msg_id: str | None = None,
        check_backlog: bool = True,
        claim_msgs_older_than: int | None = None,
        **unknown: Any,
    ) -> None:
        super().__init__(topic, group_id, consumer_name, unknown)
        self.last_read_msg_id = last_read_msg_id
        self.claim_idle_ms = CLAIM_IDLE_MS if claim_msgs_older_than is None else claim_msgs_older_than

    def _check_arguments(self) -> None:
        self._refuse_unknown("consumer_name", "last_read_msg_id", "check_backlog", "claim_msgs_older_than")
        if self.last_read_msg_id is not None and not ENTRY_ID.fullmatch(str(self.last_read_msg_id)):
            refuse(
                f"--extra: last_read_msg_id: {self.last_read_msg_id!r} is not allowed; it must be an entry id such as "
                '"1679676448892-0", "0" for the beginning or "$" for the end'
            )
        if not isinstance(self.claim_idle_ms, int) or self.claim_idle_ms < 0:
            refuse(f"--extra: claim_msgs_older_than: {self.claim_idle_ms!r} is not allowed; it must be milliseconds")

    def _open(self) -> StreamReader:
        return StreamReader(
            self.topic,
            self.group_id,
            self.consumer_name,
            claim_idle_ms=self.claim_idle_ms,
            on_gap=lambda gap: gaps.record(gap, self.topic),
            on_forgotten=lambda: gaps.forgotten(self.topic, self.group_id),
        )

    def _decode(self, entry_id: bytes, fields: Mapping[bytes, bytes], stream: str) -> inbox.Message:
        return decode(entry_id, fields, stream=stream)

    def _enroll(self, reader: StreamReader) -> None:
        """Create the consumer group if it is new, and remember that it is ours.  May be repeated.

        One that is ours already and is missing was forgotten by the bus: the first read finds out.
        """
        known = groups.is_known(self.topic, self.group_id)
        if known and self.last_read_msg_id is not None and not reader.group_exists():
            gaps.forgotten(self.topic, self.group_id)
        if not known or self.last_read_msg_id is not None:
            reader.ensure_group()
        if self.last_read_msg_id is not None:
            reader.seek(self.last_read_msg_id)
        if not known:
            groups.remember(self.topic, self.group_id)

    def _consume(self, reader: StreamReader) -> None:
        if connection.vendor == "sqlite":  # stores inside this process: a thread that reads would only get in its way
            super()._consume(reader)
        else:
            self._consume_reading_ahead(reader)

    def _consume_reading_ahead(self, reader: StreamReader) -> None:
        """What was read when the signal came is stored too: otherwise it would wait until another consumer claims it.

        But not if the database just failed: there is no time to wait for that twice.
        """
        with ReadAhead(reader) as ahead:
            succeeds = self._until_stopped(lambda: self._take(ahead.read(BATCH), reader))
            try:
                if succeeds:
                    self._take(ahead.rest(), reader)
            except Exception as error:  # noqa: BLE001 - as above; here another consumer tries again
                logger.warning("Consumer %s leaves messages to another: %s", self.consumer_name, type(error).__name__)


def default_consumer_name() -> str:
    """A name unique to this process: Heroku's `DYNO`, foreman's `PS`, honcho's own name of it, else host and process id."""
    named = (os.environ.get(variable) for variable in ("DYNO", "PS", "HONCHO_PROCESS_NAME"))
    return next(filter(None, named), f"{socket.gethostname()}.{os.getpid()}")


def refuse(line: str) -> NoReturn:
    """End the process with this line on standard error."""
    sys.stderr.write(f"{line}\n")
    sys.exit(1)
