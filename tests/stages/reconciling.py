"""Reconciling a site, repairing what was found, and how a badge comes to differ from Credly's."""

from typing import Any
from uuid import UUID, uuid4

from pipeline import stages
from pipeline.ledgers import discrepancies
from pipeline.ledgers.discrepancies import Repair
from pipeline.models import Badge, Discrepancy
from pipeline.stages.reconcile import Reconciliation
from tests.stages.conftest import Site
from tests.stages.credly_events import act


def reconcile(site: Site) -> Reconciliation:
    return stages.reconcile(site.organization.pk)


def found(site: Site) -> list[tuple[str, str]]:
    """What a reconciliation finds: kinds and details."""
    result = reconcile(site)
    assert result.failure == ""
    return [(row.kind, row.detail) for row in result.found]


def repair(site: Site) -> list[Repair]:
    """Repair all that was found, and let what that nudges run."""
    came = [discrepancies.repair(row, "olga") for row in Discrepancy.objects.order_by("pk")]
    for each in came:
        for pk in each.rechecks:
            stages.recheck(pk)
        for pk in each.badges:
            stages.issue(pk)
    return came


def issued_by_a_late_worker(site: Site, row: Badge) -> UUID:
    """The call of a worker that slept between its claim and its call, until others had gone on with the badge."""
    form = {"issuer_earner_id": str(row.learner.lms_user_id), "recipient_email": row.learner.email}
    return UUID(site.academy.issued(**form)["id"])


def lost(site: Site, row: Badge) -> None:
    """Credly, restored from an old backup, knows nothing of the badge: no badge, no event."""
    Badge.objects.filter(pk=row.pk).update(credly_id=uuid4())
    act(site, row, "delete")


def at_credly(site: Site, credly_id: Any) -> str:
    [row] = [row for row in site.ledger() if row["id"] == str(credly_id)]
    return str(row["state"])


def actors(row: Badge) -> list[str]:
    return [entry.actor for entry in row.history.filter(what="reconcile")]
