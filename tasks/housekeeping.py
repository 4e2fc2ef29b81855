"""housekeeping: drive everything that is due from the database alone."""

from pipeline import nudges, stages
from pipeline.celery import app


@app.task(name="housekeeping")
def housekeeping() -> None:
    """Nudge the stages of all rows that are due."""
    due = stages.due()
    nudges.evaluate_alone(due.events)
    nudges.issue_alone(due.badges)
    nudges.emit(due.signals)
    nudges.webhook(due.webhooks)
    nudges.recheck(due.rechecks)
    nudges.backfill(due.backfills)
