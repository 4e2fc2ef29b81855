"""webhook: verify what a webhook says, and obey it."""

from pipeline import nudges, stages
from pipeline.celery import app


@app.task(name="webhook")
def webhook(webhook: int) -> None:
    """Handle one webhook and have the signal of it emitted."""
    done = stages.webhook(webhook)
    nudges.emit(done.signals)
    nudges.issue_alone(done.badges)
