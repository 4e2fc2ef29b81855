"""emit: put a signal on the event bus."""

from pipeline import nudges, stages
from pipeline.celery import app


@app.task(name="emit")
def emit(signal: int) -> None:
    """Put one signal on the bus, and the learner's next one after it."""
    nudges.emit(stages.emit(signal))
