"""issue: bring Credly to the standing of badges."""

import time
from collections import deque

from pipeline import logs, nudges, stages
from pipeline.celery import app

TOGETHER_SECONDS = 1.0
"""How long badges may share a message: what Celery does per message counts where calls are quick; where they are slow, every
thread should have one."""


@app.task(name="issue")
def issue(badges: list[int]) -> None:
    """Issue or revoke badges at Credly, one after the other, and have the signals of them emitted.

    What is left after `TOGETHER_SECONDS`, or when one of them fails, goes to other threads, as many together as were through.
    """
    ends = time.monotonic() + TOGETHER_SECONDS
    waiting, through = deque(badges), 0
    try:
        while waiting:
            _issue(waiting.popleft())
            through += 1
            if time.monotonic() >= ends:
                break
    finally:
        nudges.issue(waiting, together=max(through, 1))


def _issue(badge: int) -> None:
    with logs.about(badge=badge):
        done = stages.issue(badge)
        nudges.emit(done.signals)
        nudges.issue_alone(done.badges)
