"""What a task's log lines are about: its own row, and the event that led there.

The id of the event travels in a header of the messages, from stage to stage, so that one search finds its whole way.  Where a
message was made from rows, as housekeeping's are, or is about several, the rows tell it.  Importing connects.
"""

import logging
import uuid
from collections.abc import Sequence
from typing import Any

from celery import Task
from celery.signals import before_task_publish, task_postrun, task_prerun
from django.db import DatabaseError, InterfaceError

from pipeline import logs

logger = logging.getLogger(__name__)

HEADER = "about"
HANDED_ON = ("event", "badge")
KINDS = {
    "evaluate": "event",
    "persist": "event",
    "issue": "badge",
    "recheck": "badge",
    "emit": "signal",
    "webhook": "webhook",
    "sync": "organization",
    "reconcile": "organization",
}
"""What a task's only argument names."""


def hand_on(headers: dict[str, Any], **_: Any) -> None:
    """Tell the next stage which event, and which badge, led there."""
    known = logs.subject()
    if ids := {kind: str(known[kind]) for kind in HANDED_ON if kind in known}:
        headers[HEADER] = ids


def begin(task_id: str, task: Task, args: Sequence[Any], **_: Any) -> None:
    """Every line until the task's end is about it."""
    handed_on = getattr(task.request, HEADER, None) or {}
    here = {"task": task_id, "stage": task.name, **{kind: handed_on[kind] for kind in HANDED_ON if kind in handed_on}}
    logs.set_subject(here)
    kind = KINDS.get(task.name)
    if kind is None or not args:
        return
    rows = args[0] if isinstance(args[0], list) else [args[0]]
    events = [] if "event" in here else _causes(kind, rows)
    if len(rows) == 1:
        cause = {"event": str(events[0])} if events else {}
        logs.set_subject({**here, **cause, kind: str(rows[0])})
    else:
        logs.name(logger, "Begins with", kind, rows)
        logs.name(logger, "Which follow from", "event", events)


def _causes(kind: str, rows: Sequence[int]) -> list[uuid.UUID]:
    """The events that led to these rows; none while the database can't be asked, which is no reason not to begin."""
    from pipeline.ledgers import causes

    ask = {"badge": causes.of_badges, "signal": causes.of_signals}.get(kind)
    try:
        return list(dict.fromkeys(ask(rows).values())) if ask else []
    except (DatabaseError, InterfaceError):
        return []


def end(**_: Any) -> None:
    """Nothing is worked on any more."""
    logs.set_subject({})


before_task_publish.connect(hand_on)
task_prerun.connect(begin)
task_postrun.connect(end)
