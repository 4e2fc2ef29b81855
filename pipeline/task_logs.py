"""What a task's log lines are about: its own row, and the event that led there.

The id of the event travels in a header of the messages, from stage to stage, so that one search finds its whole way.  Only
what housekeeping nudges, which starts from rows, tells no event.  Importing connects.
"""

import logging
from collections.abc import Sequence
from typing import Any

from celery import Task
from celery.signals import before_task_publish, task_postrun, task_prerun

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
    if len(rows) == 1:
        logs.set_subject({**here, kind: str(rows[0])})
    else:
        logs.name(logger, "Begins with", kind, rows)


def end(**_: Any) -> None:
    """Nothing is worked on any more."""
    logs.set_subject({})


before_task_publish.connect(hand_on)
task_prerun.connect(begin)
task_postrun.connect(end)
