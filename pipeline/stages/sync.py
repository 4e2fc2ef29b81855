"""sync: bring our badge templates in line with Credly's."""

from pipeline.configuration import keys, organizations, syncing
from pipeline.configuration.syncing import LONGEST_SECONDS, Progress, SyncResult
from pipeline.ledgers import holdings
from pipeline.models import Organization


def organizations_to_sync() -> list[int]:
    """All organizations; those that only `CREDLY_ORGANIZATIONS` names get their row first.  May be repeated."""
    for uuid in organizations.configured_keys():
        Organization.objects.get_or_create(uuid=uuid)
    return list(Organization.objects.values_list("pk", flat=True))


def sync(organization_id: int, progress: Progress | None = None, *, seconds: float = LONGEST_SECONDS) -> SyncResult:
    """Sync the templates of one organization.  May be repeated.

    1. Note whether another key is in use.
    2. Take over what Credly says of the templates.
    3. If the organization's key works again, its badges go on.

    Args:
        organization_id: if there is no such organization any more, nothing is done.
        progress: told after each call to Credly: how many calls are done, how many there are.
        seconds: after these no further call is begun.
    """
    organization = Organization.objects.filter(pk=organization_id).first()
    if organization is None:
        return SyncResult(failure="There is no such organization any more.")
    if note_key(organization):
        organization.refresh_from_db()
    result = syncing.sync(organization, progress, seconds=seconds)
    if result.reopened:
        holdings.resume(organization)
    return result


def note_key(organization: Organization) -> bool:
    """See which key is in use; if it is another one than before, the organization's badges that wait are due now.

    May be repeated.  To be called whenever a key may have changed.

    Returns:
        Whether it was another key.
    """
    changed = keys.note(organization)
    if changed:
        holdings.resume(organization)
    return changed
