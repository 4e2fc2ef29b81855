"""What keeps the promises, and for each how the pipeline would be without it.  For the controls.

A protection is switched off and on again while the processes run: it is off while a file of its name lies in the folder
`without` of the switchboard.
"""

import functools
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from importlib import import_module
from typing import Any

from celery.beat import Scheduler
from django.db import transaction
from django.db.models import Q
from django.http import HttpResponse
from django.utils import timezone

from pipeline.credly.outcomes import Confirmed, Unknown
from pipeline.credly.records import CredlyEvent
from pipeline.ledgers.steps import Step
from pipeline.models import Badge, Event, Organization, Signal
from pipeline.stages.housekeeping import Due
from tests.faults import switchboard

Original = Callable[..., Any]


@dataclass(frozen=True)
class Protection:
    """A function of the pipeline, and what takes its place while the protection is off."""

    name: str
    place: str
    without: Callable[..., Any]


def _acknowledge_first(_: Original, consumer: Any, entries: Any, reader: Any) -> None:
    reader.acknowledge([entry_id for entry_id, _ in entries])
    if entries:
        consumer._store(entries, reader.stream)


def _take_for_new(original: Original, messages: Sequence[Any], topic: str) -> list[uuid.UUID]:
    known = Event.objects.in_bulk([message.id for message in messages])
    new: list[uuid.UUID] = original(
        [replace(message, id=uuid.uuid4()) if message.id in known else message for message in messages], topic
    )
    return new


def _acknowledge_task_first(original: Original, request: Any, *arguments: Any) -> None:
    original(request, *arguments)
    request.acknowledge()


def _publish_from_memory(_: Original, badge: Badge, event_type: str) -> list[int]:
    payload = import_module("pipeline.ledgers.outbox")._payload(badge)
    signal = Signal(badge=badge, event_type=event_type, payload=payload, created_at=timezone.now())
    transaction.on_commit(lambda: import_module("pipeline.stages.emit")._publish(signal))
    return []


def _mark_first(_: Original, ids: Sequence[int]) -> list[int]:
    outbox, emit = import_module("pipeline.ledgers.outbox"), import_module("pipeline.stages.emit")
    claimed, token = outbox.claim(outbox.ready(ids))
    outbox.sent(claimed, token)
    for signal in claimed:
        emit._publish(signal)
    following: list[int] = outbox.following(claimed)
    return following


def _give_up(_: Original, signal: Signal, token: uuid.UUID, reason: str) -> None:
    import_module("pipeline.ledgers.outbox").sent([signal], token)
    Signal.objects.filter(pk=signal.pk).update(error=reason)


def _tick_as_celery_does(_: Original, scheduler: Any, *arguments: Any, **named: Any) -> float:
    seconds: float = Scheduler.tick(scheduler, *arguments, **named)
    return seconds


def _believe(original: Original, client: Any, claim: Any, failure: Any, **named: Any) -> Any:
    if isinstance(failure, Unknown) and claim.step is Step.REVOKE:
        return import_module("pipeline.stages.issue")._withdrawn(claim, "said to be done")
    return original(client, claim, failure, **named)


ANSWERED_SECONDS = 3.0
"""After this an answer has arrived, however busy the machine is; one that had not would be asked for again."""


def _answer_first(original: Original, pointer: Any) -> HttpResponse:
    threading.Timer(ANSWERED_SECONDS, original, [pointer]).start()
    return HttpResponse()


def _obey_what_was_posted(original: Original, client: Any, claim: Any, event: CredlyEvent) -> Any:
    return original(client, claim, replace(event, event_type=claim.webhook.event_type))


def _one_gate_for_all(original: Original, organization: Organization) -> datetime | None:
    closed = Organization.objects.exclude(gate_reason="").first()
    until: datetime | None = original(closed or organization)
    return until


def _but_not_for_an_error(original: Original, work: Any) -> None:
    """For what is called by the handler of an error, and elsewhere too."""
    if sys.exc_info()[1] is None:
        original(work)


PROTECTIONS = {
    protection.name: protection
    for protection in (
        Protection(
            "messages are acknowledged after they are stored",
            "pipeline.stages.consume:InboxConsumer._take",
            _acknowledge_first,
        ),
        Protection(
            "what a dead consumer holds is claimed",
            "pipeline.bus.streams:StreamReader._claimed",
            lambda *_: [],
        ),
        Protection("an event that is known falls away", "pipeline.ledgers.inbox:_insert", _take_for_new),
        Protection(
            "tasks are acknowledged after they ran",
            "celery.worker.request:Request.on_accepted",
            _acknowledge_task_first,
        ),
        Protection("housekeeping", "pipeline.stages:due", lambda *_: Due([], [], [], [])),
        Protection("the newest event decides", "pipeline.rules.progress:supersedes", lambda *_: True),
        Protection("a claim keeps others away", "pipeline.ledgers.claims:free", lambda _, now: Q(due_at__lte=now)),
        Protection(
            "Credly is looked at before a call is repeated", "pipeline.stages.issue:_find", lambda *_: Confirmed(None)
        ),
        Protection("a signal is written with the fact it tells", "pipeline.ledgers.outbox:write", _publish_from_memory),
        Protection("a signal is marked after it was published", "pipeline.stages:emit", _mark_first),
        Protection("waits begin anew when the clock was set", "pipeline.stages.clock_change:notice", lambda _: None),
        Protection("beat goes on when the clock was set back", "tasks.beat:SteadyScheduler.tick", _tick_as_celery_does),
        Protection("what the bus did not take is published later", "pipeline.ledgers.outbox:postpone", _give_up),
        Protection(
            "a group that is gone is made again",
            "pipeline.bus.streams:StreamReader.ensure_group",
            lambda *_: time.sleep(0.5),  # the reader asks at once again
        ),
        Protection(
            "the database's faults are not counted against an event",
            "pipeline.ledgers.inbox:put_down",
            _but_not_for_an_error,
        ),
        Protection(
            "the database's faults are not counted against a badge",
            "pipeline.ledgers.holdings:put_down",
            _but_not_for_an_error,
        ),
        Protection("a bus that came back empty is told", "pipeline.ledgers.gaps:forgotten", lambda *_: None),
        Protection(
            "what was held and is gone is told", "pipeline.bus.streams:StreamReader._drop_deleted", lambda *_: []
        ),
        Protection("what was trimmed is looked for", "pipeline.bus.streams:find_gap", lambda *_: None),
        Protection("an answer that proves nothing is not believed", "pipeline.stages.issue:_not_done", _believe),
        Protection("Credly is left alone for as long as it asks", "pipeline.credly.verdict:_seconds", lambda *_: None),
        Protection("no call passes a closed gate", "pipeline.configuration.gate:closed_until", lambda *_: None),
        Protection("each organization has its own gate", "pipeline.configuration.gate:closed_until", _one_gate_for_all),
        Protection("Credly's failures are counted", "pipeline.configuration.gate:failed", lambda *_: None),
        Protection("a webhook is stored before it is answered", "pipeline.web.webhooks:_store", _answer_first),
        Protection(
            "what Credly does not show is looked for twice",
            "pipeline.stages.webhook:observe",
            lambda observe, *arguments, **named: observe(*arguments, **named | {"is_absence_certain": True}),
        ),
        Protection("Credly tells what a webhook is about", "pipeline.stages.webhook:_obey", _obey_what_was_posted),
    )
}
"""By name."""


def install() -> None:
    """Make all protections of this process switchable."""
    for protection in PROTECTIONS.values():
        module, _, attribute = protection.place.partition(":")
        owner: Any = import_module(module)
        *outer, name = attribute.split(".")
        for each in outer:
            owner = getattr(owner, each)
        setattr(owner, name, _switchable(getattr(owner, name), protection))


def _switchable(original: Original, protection: Protection) -> Original:
    off = switchboard.folder() / "without" / protection.name
    without = partial(protection.without, original)

    @functools.wraps(original)
    def wrapper(*arguments: Any, **named: Any) -> Any:
        return without(*arguments, **named) if off.exists() else original(*arguments, **named)

    return wrapper
