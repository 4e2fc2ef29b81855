"""persist: write events into their learners' progress and badges."""

import uuid

from pipeline import nudges, stages
from pipeline.celery import app


@app.task(name="persist")
def persist(events: list[str]) -> None:
    """Persist events and have the badges they changed brought to Credly."""
    nudges.issue(stages.persist([uuid.UUID(event) for event in events]))
