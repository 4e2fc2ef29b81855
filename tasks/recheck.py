"""recheck: look up what Credly holds of a badge."""

from pipeline import nudges, stages
from pipeline.celery import app


@app.task(name="recheck")
def recheck(badge: int) -> None:
    """Take over what Credly says of one badge and have the signal of it emitted."""
    done = stages.recheck(badge)
    nudges.emit(done.signals)
    nudges.issue_alone(done.badges)
