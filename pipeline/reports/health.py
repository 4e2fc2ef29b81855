"""Whether a process is deaf: alive, with work to do, and doing none.

It is told by what waits, in the database and on the bus, and by when each stage last ended a run, which processes note among
their measures.  A process is blamed only while the one that hands it its work does so: beat asks for housekeeping, the workers
do it and so nudge all that is due.  What is put off, for a closed gate or another attempt, is not due and nobody's fault.
"""

import math
import time
from collections.abc import Callable, Mapping
from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone
from redis.exceptions import RedisError

from pipeline import measures
from pipeline.bus.unavailable import BusUnavailable
from pipeline.ledgers import claims, inbox
from pipeline.models import Badge, Event, EventStatus, Signal, Webhook
from pipeline.reports.backlog import backlogs


class Unhealthy(Exception):
    """The process is deaf, or nothing can be said.  The message says in one line what was seen."""


class Signs:
    """When each stage last ended a run.

    Args:
        patience: seconds that work may wait, and that a stage may be silent, before a process counts as deaf.

    Raises:
        Unhealthy: Redis, where processes note it, does not answer.
    """

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.latest = timezone.now() - timedelta(seconds=patience)
        name = measures.STAGE_LAST_RUN.name
        try:
            noted = measures.shared().items()
        except (RedisError, OSError) as error:
            raise Unhealthy(f"Redis does not answer ({type(error).__name__}), so nothing can be said.") from None
        self._last_run = {field[1]: moment for field, moment in noted if field[0] == name}

    def silence(self, *stages: str) -> float:
        """Seconds since one of these last ended a run; without end if none ever did."""
        return time.time() - max(self._last_run.get(stage, -math.inf) for stage in stages)

    def are_silent(self, *stages: str) -> bool:
        """Whether none of these ended a run for longer than work may wait."""
        return self.silence(*stages) > self.patience

    def how_long(self, *stages: str) -> str:
        """That silence in words."""
        silence = self.silence(*stages)
        return "ever" if silence == math.inf else f"for {silence:.0f} s"


def prove(process: str, patience: float) -> str:
    """Why a process counts as healthy, in a few words.

    Args:
        process: a key of `PROOFS`.
        patience: seconds that work may wait before somebody is to blame.

    Raises:
        Unhealthy: it does not.
        django.db.DatabaseError, django.db.InterfaceError: the database does not answer.
    """
    return PROOFS[process](Signs(patience))


def _consumer(signs: Signs) -> str:
    try:
        waiting = backlogs()
    except BusUnavailable as error:
        raise Unhealthy(f"{error} So nothing can be said.") from None
    for topic, backlog in waiting.items():
        if backlog.oldest and backlog.oldest < signs.latest and signs.are_silent("consume"):
            age = (timezone.now() - backlog.oldest).total_seconds()
            told = signs.how_long("consume")
            raise Unhealthy(f"Messages of {topic} wait for {age:.0f} s, and no consumer took any {told}.")
    return "what is on the bus is taken"


def _worker(signs: Signs) -> str:
    if signs.are_silent("beat"):
        return "beat is silent, so nobody else can be blamed"
    if signs.are_silent("housekeeping"):
        told = signs.how_long("housekeeping")
        raise Unhealthy(f"Beat asks for housekeeping, and no worker ended any {told}.")
    _expect_evaluation(signs)
    _expect(signs, "emit", Signal.objects.all())
    return "what is due is done"


def _credly(signs: Signs) -> str:
    if signs.are_silent("beat") or signs.are_silent("housekeeping"):
        return "beat or the workers are silent, so nobody else can be blamed"
    _expect(signs, "issue", Badge.objects.exclude(template__organization__call_again_at__gt=signs.latest))
    _expect(signs, "webhook", Webhook.objects.exclude(organization__call_again_at__gt=signs.latest))
    return "what is due is done"


def _beat(signs: Signs) -> str:
    if signs.are_silent("beat"):
        raise Unhealthy(f"The broker got no housekeeping of beat {signs.how_long('beat')}.")
    return "housekeeping is sent"


def _expect(signs: Signs, stage: str, rows: QuerySet[Badge] | QuerySet[Signal] | QuerySet[Webhook]) -> None:
    """What is due is nudged every half minute, so a stage that has such a row has had something to run."""
    overdue = rows.filter(claims.free(signs.latest)).count()
    if overdue and signs.are_silent(stage):
        told = signs.how_long(stage)
        raise Unhealthy(f"{overdue} rows are due for {stage} since more than {signs.patience:.0f} s; none ran {told}.")


def _expect_evaluation(signs: Signs) -> None:
    """An event that nobody took up is sent again each time that it has waited twice as long, or an hour longer.

    So in the second half of its time, but for the last seconds, something ran; at the latest in the last hour.  Where the row
    tells of a later time than that, as it does of one that was put back, something ran since then.
    """
    untouched = Event.objects.filter(status=EventStatus.RECEIVED, attempts=0, received_at__lt=signs.latest)
    oldest = untouched.order_by("received_at").only("received_at", "due_at").first()
    if oldest is None or oldest.due_at is None:
        return
    now = timezone.now()
    sent_within = (min((now - oldest.received_at) / 2, inbox.LONGEST_WAIT) + inbox.EVALUATED_WITHIN).total_seconds()
    last_sent = (now - inbox.nudged_at(oldest.received_at, oldest.due_at, now)).total_seconds()
    if last_sent > signs.patience:
        sent_within = min(sent_within, last_sent)
    if signs.silence("evaluate", "persist") > max(signs.patience, sent_within):
        told = signs.how_long("evaluate", "persist")
        raise Unhealthy(f"An event was sent to evaluation within {sent_within:.0f} s, and none was evaluated {told}.")


PROOFS: Mapping[str, Callable[[Signs], str]] = {
    "consumer": _consumer,
    "worker": _worker,
    "credly": _credly,
    "beat": _beat,
}
"""By the names of the Procfile."""
