"""How long tasks take, and that beat lives.  Importing connects."""

import time
from typing import Any

from celery import Task
from celery.signals import after_task_publish, beat_init, task_postrun, task_prerun

from pipeline import measures

_started: dict[str, float] = {}


def begin(task_id: str, **_: Any) -> None:
    """A task starts, in this thread or another."""
    _started[task_id] = time.monotonic()


def end(task_id: str, task: Task, state: str | None, **_: Any) -> None:
    """It ended, whatever came of it."""
    seconds = time.monotonic() - _started.pop(task_id, time.monotonic())
    measures.stage_ended(task.name, (state or "unknown").lower(), seconds)


def watch_beat(**_: Any) -> None:
    """In beat's process: note each time that the broker took its housekeeping."""
    after_task_publish.connect(beat_lives, sender="housekeeping")


def beat_lives(**_: Any) -> None:
    """Beat sent housekeeping."""
    measures.STAGE_LAST_RUN.note("beat")


task_prerun.connect(begin)
task_postrun.connect(end)
beat_init.connect(watch_beat)
