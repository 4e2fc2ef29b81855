"""sync: bring our badge templates in line with Credly's."""

from pipeline import nudges, stages
from pipeline.celery import app


@app.task(name="sync_all")
def sync_all() -> None:
    """Have the templates of every organization synced."""
    nudges.sync(stages.organizations_to_sync())


@app.task(name="sync")
def sync(organization: int) -> None:
    """Sync the templates of one organization."""
    stages.sync(organization)
