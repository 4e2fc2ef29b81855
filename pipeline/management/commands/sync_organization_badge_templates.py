"""`manage.py sync_organization_badge_templates`: pull the active badge templates from Credly."""

import uuid
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.progress import Progress

from pipeline import stages
from pipeline.configuration.difference import counted
from pipeline.configuration.syncing import SyncResult
from pipeline.management.command import DatabaseCommand
from pipeline.models import Organization


class Command(DatabaseCommand):
    """Bring the badge templates here in line with Credly's."""

    help = (
        "Bring the badge templates here in line with Credly's, of one organization or of all. New templates arrive "
        "deactivated, changed ones are updated, those no longer active at Credly are deactivated; none is deleted. "
        "It may be repeated at any time."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the organization, and the site that Open edX's command takes."""
        parser.add_argument(
            "--organization_id", type=_uuid, metavar="UUID", help="the organization's UUID; without it all are synced"
        )
        parser.add_argument(
            "--site_id", type=int, metavar="N", help="accepted as Open edX's command does; there is one site here"
        )

    def handle(self, *, organization_id: uuid.UUID | None, **_: Any) -> None:
        """Sync, and print what changed.

        Raises:
            CommandError: the organization is unknown, or (after the others were synced) some failed.
        """
        chosen = Organization.objects.defer("api_key").filter(pk__in=stages.organizations_to_sync())
        if organization_id:
            chosen = chosen.filter(uuid=organization_id)
            if not chosen:
                raise CommandError(
                    f"There is no organization {organization_id} here: add it in the admin or the badge file."
                )
        failed = [str(row.uuid) for row in chosen if not self._sync(row)]
        if not chosen:
            self.stdout.write("There is no organization to sync.")
        if failed:
            raise CommandError(f"Not synced: {', '.join(failed)}.")

    def _sync(self, organization: Organization) -> bool:
        """Sync one organization and print how it went; whether it went well."""
        with Progress(console=Console(stderr=True), transient=True, disable=not self.stderr.isatty()) as bar:
            task = bar.add_task(str(organization), total=None)
            result = stages.sync(organization.pk, lambda done, total: bar.update(task, completed=done, total=total))
        organization.refresh_from_db(fields=["name"])
        self.stdout.write(f"{organization} ({organization.uuid})")
        for change in result.changes:
            self.stdout.write(f"  {change}")
        for name in result.flagged:
            self.stdout.write(f'  ! template "{name}" allows duplicates at Credly, so its own safety net is off')
        for name in result.only_once:
            self.stdout.write(
                f'  ! template "{name}" has one badge per value here, and Credly allows a learner one in all: allow duplicates '
                "for it at Credly, then sync"
            )
        self.stdout.write(f"  {_summary(result)}")
        return not result.failure


def _summary(result: SyncResult) -> str:
    counts = [
        counted([*result.added, *result.changed]),
        f"{len(result.withdrawn)} withdrawn" if result.withdrawn else "",
    ]
    said = ", ".join(part for part in (*counts, f"{result.unchanged} unchanged") if part)
    if not result.failure:
        return f"Done: {said}."
    return f"Failed: {result.failure} ({said})" if result.changes else f"Failed: {result.failure}"


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a UUID") from None
