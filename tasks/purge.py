"""purge: remove what is older than its retention."""

from pipeline import nudges, stages
from pipeline.celery import app


@app.task(name="purge")
def purge() -> None:
    """Remove one batch, and come again while there is more."""
    if stages.purge():
        nudges.purge()
