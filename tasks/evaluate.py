"""evaluate: which of these events meet a requirement or penalty?"""

import uuid

from pipeline import nudges, stages
from pipeline.celery import app


@app.task(name="evaluate")
def evaluate(events: list[str]) -> None:
    """Evaluate the events of one read and have those that match persisted."""
    nudges.persist(stages.evaluate([uuid.UUID(event) for event in events]))
