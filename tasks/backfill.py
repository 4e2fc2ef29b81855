"""backfill: run kept events through a template once more."""

from pipeline import nudges, stages
from pipeline.celery import app


@app.task(name="backfill")
def backfill(backfill: int, turn: int) -> None:
    """Take one turn, and come again for the next behind whatever waits by then."""
    taken = stages.backfill(stages.Turn(backfill, turn))
    nudges.issue(taken.badges)
    if taken.then:
        nudges.backfill([taken.then])
