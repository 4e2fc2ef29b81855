"""Nudges: after commit, have a stage run.  The only place of `pipeline/` that sends messages of Celery's.

A nudge carries ids and nothing else.  It may get lost: the row behind it is due in the database, and housekeeping nudges
again.  So a broker that is away is logged here and never an error of the caller's.
"""

import logging
import threading
import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from django.db import transaction
from kombu.exceptions import KombuError

from pipeline import logs
from pipeline.celery import app
from pipeline.rabbitmq import Blocked

logger = logging.getLogger(__name__)

AT_ONCE_SECONDS = 1.0
"""A publication that fails later than this was refused by a broker that hangs, which must not hold the caller twice."""

BROKER_FAILS = (KombuError, OSError, RuntimeError)
"""What a publication raises for which the caller is not at fault.  RuntimeError is kombu's word for a batch whose connection
was replaced in its midst, and for a pool that was closed."""

ISSUE_EXPIRES_SECONDS = 60
"""Twice the time after which housekeeping nudges a row again, so the queue holds about two nudges of each at the most."""

EVALUATE_AT_ONCE = 500
"""Events per evaluate message: Celery costs about two milliseconds a message, which so many events may share."""

PERSIST_AT_ONCE = 45
"""Events per persist message, and so per transaction: enough to share what each costs, few enough that nobody waits long
for their locks, and that a backlog spreads over the workers.  Of no more badges SQLite, which takes 999 values, makes one
statement."""

ISSUE_AT_ONCE = 10
"""Badges per issue message, which a thread of `credly` works off one after the other while Credly answers quickly."""

EMIT_AT_ONCE = 50
"""Signals per emit message."""

GATHER_SECONDS = 0.1
"""How long a signal may wait for others to share its message: less than anybody notices."""

_gathered: list[tuple[Sequence[int], logs.Subject]] = []
_gathering = threading.Lock()


def evaluate(events: Sequence[uuid.UUID]) -> None:
    """Have these events evaluated, as one message per `EVALUATE_AT_ONCE`."""
    _send("evaluate", _chunks(_texts(events), EVALUATE_AT_ONCE))


def evaluate_alone(events: Sequence[uuid.UUID]) -> None:
    """Have each of these events evaluated by itself, so that one that kills its worker takes no other along."""
    _send("evaluate", _chunks(_texts(events), 1))


def persist(events: Sequence[uuid.UUID]) -> None:
    """Have these events persisted, as one message per `PERSIST_AT_ONCE`."""
    _send("persist", _chunks(_texts(events), PERSIST_AT_ONCE))


def issue(badges: Collection[int], together: int = ISSUE_AT_ONCE) -> None:
    """Have Credly brought to the standing of these badges, as one message per `together`.

    These nudges expire: while Credly hangs, housekeeping goes on nudging, and the queue must not grow for days.
    """
    _send("issue", _chunks(badges, together), expires=ISSUE_EXPIRES_SECONDS)


def issue_alone(badges: Collection[int]) -> None:
    """The same with a message for each badge, so that none waits for another's call."""
    issue(badges, together=1)


def emit(signals: Sequence[int]) -> None:
    """Have these signals put on the event bus, as one message per `EMIT_AT_ONCE`.

    Threads that call it within `GATHER_SECONDS` share their messages: the answers of Credly come one by one.
    """
    if threading.current_thread() is threading.main_thread():
        _send("emit", _chunks(signals, EMIT_AT_ONCE))
    elif signals:
        transaction.on_commit(partial(_gather, signals))


def _gather(signals: Sequence[int]) -> None:
    with _gathering:
        is_first = not _gathered
        _gathered.append((signals, logs.subject()))
    if is_first:
        try:
            threading.Timer(GATHER_SECONDS, _emit_gathered).start()
        except RuntimeError:  # there is no further thread to be had
            _emit_gathered()


def _emit_gathered() -> None:
    with _gathering:
        gathered = _gathered.copy()
        _gathered.clear()
    with logs.about(**(gathered[0][1] if len(gathered) == 1 else {})):
        signals = [signal for together, _ in gathered for signal in together]
        _publish("emit", _chunks(signals, EMIT_AT_ONCE), {})


def recheck(badges: Sequence[int]) -> None:
    """Have what Credly holds of these badges looked up, each by itself."""
    _send("recheck", [[badge] for badge in badges])


def webhook(webhooks: Sequence[int]) -> None:
    """Have these webhooks verified at Credly and obeyed, each by itself.  Expires as `issue` does."""
    _send("webhook", [[webhook] for webhook in webhooks], expires=ISSUE_EXPIRES_SECONDS)


def sync(organizations: Sequence[int]) -> None:
    """Have the templates of these organizations brought in line with Credly's, each organization by itself."""
    _send("sync", [[organization] for organization in organizations])


def reconcile(organizations: Sequence[int]) -> None:
    """Have the badges of these organizations compared with Credly's, each organization by itself."""
    _send("reconcile", [[organization] for organization in organizations])


def purge() -> None:
    """Have what is older than its retention removed."""
    _send("purge", [[]])


def backfill(turns: Sequence[tuple[int, int]]) -> None:
    """Have these turns of backfills taken, each by itself: the backfill and the number of the turn."""
    _send("backfill", [list(turn) for turn in turns])


def ping() -> None:
    """Return if the broker answers within seconds.

    Raises:
        kombu.exceptions.OperationalError: it does not.
    """
    with app.connection_for_write(connect_timeout=2) as broker:
        broker.ensure_connection(max_retries=1, timeout=3)


def _texts(events: Sequence[uuid.UUID]) -> list[str]:
    return [str(event) for event in events]


def _chunks(ids: Collection[Any], size: int) -> list[list[Any]]:
    """The arguments of as many messages as it takes to name these rows."""
    named = list(ids)
    return [[named[start : start + size]] for start in range(0, len(named), size)]


def _send(task: str, calls: list[list[Any]], **options: Any) -> None:
    if calls:
        transaction.on_commit(partial(_publish, task, calls, options))


def _publish(task: str, calls: list[list[Any]], options: Mapping[str, Any]) -> None:
    """Publish one message per call, in one round trip where the broker can.

    What fails at once is tried once more: after a restart of the broker the pool still holds connections to the old one.
    """
    started = time.monotonic()
    try:
        _publish_batch(task, calls, options)
    except BROKER_FAILS as error:
        failed_at_once = time.monotonic() - started < AT_ONCE_SECONDS
        if not (failed_at_once and _publish_again(task, calls, options)):
            logger.warning(
                "The broker did not take %s nudge(s) for %s (%s); housekeeping will nudge again",
                len(calls),
                task,
                type(error).__name__,
            )


def _publish_again(task: str, calls: list[list[Any]], options: Mapping[str, Any]) -> bool:
    try:
        _publish_batch(task, calls, options)
    except BROKER_FAILS:
        return False
    return True


def _publish_batch(task: str, calls: list[list[Any]], options: Mapping[str, Any]) -> None:
    blocked = None
    with app.producer_pool.acquire(block=True) as producer, producer.batch():
        try:
            for arguments in calls:
                app.send_task(task, args=arguments, producer=producer, **options)
        except Blocked as error:  # outside, the connection would be replaced by one more that the broker does not read
            blocked = error
    if blocked:
        raise blocked
