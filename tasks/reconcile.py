"""reconcile: compare our badges with Credly's."""

from pipeline import nudges, stages
from pipeline.celery import app


@app.task(name="reconcile_all")
def reconcile_all() -> None:
    """Have the badges of every organization reconciled."""
    nudges.reconcile(stages.organizations_to_sync())


# It may run longer than an unacknowledged message stays with its worker; what a crash loses comes the next night.
@app.task(name="reconcile", acks_late=False)
def reconcile(organization: int) -> None:
    """Reconcile the badges of one organization."""
    stages.reconcile(organization)
