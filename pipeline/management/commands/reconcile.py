"""`manage.py reconcile`: compare our badges with what Credly holds."""

import json
import sys
import uuid
from collections import Counter
from typing import Any

from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.progress import Progress

from pipeline import nudges, stages
from pipeline.ledgers import discrepancies
from pipeline.management.command import DatabaseCommand
from pipeline.models import Discrepancy, DiscrepancyKind, Organization
from pipeline.stages.reconcile import Reconciliation

DIFFERENCES_FOUND = 3
"""The exit status when some differences were found and their repair was not queued."""

ACTOR = "manage.py reconcile"
"""Who repaired, in the badge's history."""


class Command(DatabaseCommand):
    """Compare our badges with Credly's, and repair on demand."""

    help = (
        "Compare our badges with what Credly holds, of one organization or of all, and say what is missing, extra or "
        "different there. With --repair the fixes are queued. It may be repeated at any time. Exit status: 0 if nothing "
        "differs or every repair was queued, 3 if differences stay, 1 if an organization could not be compared. "
        "Example: ./manage.py reconcile --repair"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the organization, `--repair` and `--json`."""
        parser.add_argument(
            "--organization_id",
            type=uuid.UUID,
            metavar="UUID",
            help="the organization's UUID; without it all are compared",
        )
        parser.add_argument("--repair", action="store_true", help="queue what brings both sides together again")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *, organization_id: uuid.UUID | None, repair: bool, json: bool, **_: Any) -> None:
        """Compare, repair if asked, and print what was found.

        Raises:
            CommandError: the organization is unknown, or (after the others were compared) some failed.
            SystemExit: with status 3, differences stay.
        """
        chosen = Organization.objects.defer("api_key").filter(pk__in=stages.organizations_to_sync())
        if organization_id:
            chosen = chosen.filter(uuid=organization_id)
            if not chosen:
                raise CommandError(
                    f"There is no organization {organization_id} here: add it in the admin or the badge file."
                )
        reports = [self._reconcile(row, repair) for row in chosen]
        self._print(reports, as_json=json)
        failed = [report["organization"] for report in reports if report["failure"]]
        if failed:
            raise CommandError(f"Not reconciled: {', '.join(failed)}.")
        if any(found["repair"] != "queued" for report in reports for found in report["discrepancies"]):
            sys.exit(DIFFERENCES_FOUND)

    def _reconcile(self, organization: Organization, repair: bool) -> dict[str, Any]:
        with Progress(console=Console(stderr=True), transient=True, disable=not self.stderr.isatty()) as bar:
            task = bar.add_task(str(organization), total=None)
            result = stages.reconcile(
                organization.pk, lambda done, total: bar.update(task, completed=done, total=total)
            )
        return _report(organization, result, repair)

    def _print(self, reports: list[dict[str, Any]], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({"organizations": reports}, indent=2))
            return
        for report in reports:
            self.stdout.write(f"{report['name']} ({report['organization']})")
            for found in report["discrepancies"]:
                self.stdout.write(f"  {_line(found)}")
            self.stdout.write(f"  Failed: {report['failure']}" if report["failure"] else f"  {_summary(report)}")
        if not reports:
            self.stdout.write("There is no organization to reconcile.")


def _report(organization: Organization, result: Reconciliation, repair: bool) -> dict[str, Any]:
    kinds = Counter(row.kind for row in result.found)
    return {
        "organization": str(organization.uuid),
        "name": str(organization),
        "failure": result.failure,
        "compared": result.compared,
        **{kind: kinds[kind] for kind in DiscrepancyKind.values},
        "not_ours": result.not_ours,
        "discrepancies": [_found(row, _repaired(row) if repair else None) for row in result.found],
    }


def _repaired(row: Discrepancy) -> str:
    came = discrepancies.repair(row, ACTOR)
    nudges.issue(came.badges)
    nudges.recheck(came.rechecks)
    return came.refusal or "queued"


def _found(row: Discrepancy, repair: str | None) -> dict[str, Any]:
    """A discrepancy without names or addresses of learners."""
    badge, template = row.badge, row.template
    return {
        "kind": row.kind,
        "learner": badge.learner.lms_user_id if badge else None,
        "template": str(template.uuid) if template else None,
        "template_name": template.name if template else None,
        "badge": str(badge.uuid) if badge else None,
        "credly_id": str(row.credly_id),
        "detail": row.detail,
        "repair": repair,
    }


def _line(found: dict[str, Any]) -> str:
    said = (
        f'{found["kind"]}: learner {found["learner"]}, template "{found["template_name"]}", badge {found["badge"]}, '
        f"at Credly {found['credly_id']}: {found['detail']}"
    )
    if found["repair"] is None:
        return said
    return f"{said}; repair queued" if found["repair"] == "queued" else f"{said}; not repaired: {found['repair']}"


def _summary(report: dict[str, Any]) -> str:
    kinds = ", ".join(f"{report[kind]:,} {kind}" for kind in DiscrepancyKind.values)
    return f"{report['compared']:,} badges compared: {kinds}, {report['not_ours']:,} not ours"
