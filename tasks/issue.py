"""issue: bring Credly to the standing of badges."""

import time
from collections import deque

from pipeline import logs, nudges, stages
from pipeline.celery import app

TOGETHER_SECONDS = 1.0
"""How long badges may share a message: as long as calls are quick, what Celery does per message counts; while they are slow,
every thread should have one."""


@app.task(name="issue")
def issue(badges: list[int]) -> None:
    """Issue or revoke badges at Credly, one after the other, and have the signals of them emitted.

    What is left after `TOGETHER_SECONDS`, or when one of them fails, gets messages of its own.
    """
    ends = time.monotonic() + TOGETHER_SECONDS
    waiting = deque(badges)
    try:
        while waiting:
            _issue(waiting.popleft())
            if time.monotonic() >= ends:
                break
    finally:
        nudges.issue_alone(waiting)


def _issue(badge: int) -> None:
    with logs.about(badge=badge):
        done = stages.issue(badge)
        nudges.emit(done.signals)
        nudges.issue_alone(done.badges)
