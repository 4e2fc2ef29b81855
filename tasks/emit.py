"""emit: put signals on the event bus."""

from pipeline import nudges, stages
from pipeline.celery import app


@app.task(name="emit")
def emit(signals: list[int]) -> None:
    """Put signals on the bus, and the learners' next ones after them."""
    nudges.emit(stages.emit(signals))
