"""persist: write an event into the learner's progress and badges."""

import uuid

from pipeline import nudges, stages
from pipeline.celery import app


@app.task(name="persist")
def persist(event: str) -> None:
    """Persist one event and have the badges it changed brought to Credly."""
    nudges.issue(stages.persist(uuid.UUID(event)))
