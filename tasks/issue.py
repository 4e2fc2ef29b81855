"""issue: bring Credly to a badge's standing."""

from pipeline import nudges, stages
from pipeline.celery import app


@app.task(name="issue")
def issue(badge: int) -> None:
    """Issue or revoke one badge at Credly and have the signal of it emitted."""
    done = stages.issue(badge)
    nudges.emit(done.signals)
    nudges.issue(done.badges)
