"""What keeps the promises, and for each how the pipeline would be without it.  For the controls.

A protection is switched off and on again while the processes run: it is off while a file of its name lies in the folder
`without` of the switchboard.
"""

import functools
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from pipeline.credly.outcomes import Confirmed
from pipeline.models import Badge, Event, Signal
from pipeline.stages.housekeeping import Due
from tests.faults import switchboard

Original = Callable[..., Any]


@dataclass(frozen=True)
class Protection:
    """A function of the pipeline, and what takes its place while the protection is off."""

    name: str
    place: str
    without: Callable[..., Any]


def _acknowledge_first(_: Original, consumer: Any, reader: Any) -> None:
    entries = reader.read()
    reader.acknowledge([entry_id for entry_id, _ in entries])
    if entries:
        consumer._store(entries, reader.stream)


def _take_for_new(original: Original, *arguments: Any) -> Event:
    row: Event = original(*arguments)
    if Event.objects.filter(pk=row.id).exists():
        row.id = uuid.uuid4()
    return row


def _acknowledge_task_first(original: Original, request: Any, *arguments: Any) -> None:
    original(request, *arguments)
    request.acknowledge()


def _publish_from_memory(_: Original, badge: Badge, event_type: str) -> list[int]:
    payload = import_module("pipeline.ledgers.outbox")._payload(badge)
    signal = Signal(badge=badge, event_type=event_type, payload=payload, created_at=timezone.now())
    transaction.on_commit(lambda: import_module("pipeline.stages.emit")._publish(signal))
    return []


def _mark_first(_: Original, signal_id: int) -> list[int]:
    outbox, emit = import_module("pipeline.ledgers.outbox"), import_module("pipeline.stages.emit")
    claimed = outbox.claim(signal_id)
    if claimed is None:
        return []
    following: list[int] = outbox.sent(*claimed, ["marked before it was published"])
    emit._publish(claimed[0])
    return following


PROTECTIONS = {
    protection.name: protection
    for protection in (
        Protection(
            "messages are acknowledged after they are stored",
            "pipeline.stages.consume:InboxConsumer._consume_batch",
            _acknowledge_first,
        ),
        Protection(
            "what a dead consumer holds is claimed",
            "pipeline.bus.streams:StreamReader._claimed",
            lambda *_: [],
        ),
        Protection("an event that is known falls away", "pipeline.ledgers.inbox:_row", _take_for_new),
        Protection(
            "tasks are acknowledged after they ran",
            "celery.worker.request:Request.on_accepted",
            _acknowledge_task_first,
        ),
        Protection("housekeeping", "pipeline.stages:due", lambda *_: Due([], [], [], [])),
        Protection("the newest event decides", "pipeline.rules:supersedes", lambda *_: True),
        Protection("a claim keeps others away", "pipeline.ledgers.claims:free", lambda _, now: Q(due_at__lte=now)),
        Protection(
            "Credly is looked at before a call is repeated", "pipeline.stages.issue:_find", lambda *_: Confirmed(None)
        ),
        Protection("a signal is written with the fact it tells", "pipeline.ledgers.outbox:write", _publish_from_memory),
        Protection("a signal is marked after it was published", "pipeline.stages:emit", _mark_first),
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
