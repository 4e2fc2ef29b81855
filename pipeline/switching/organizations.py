"""Taking over the Credly organizations of the peer."""

from pipeline.configuration import organizations
from pipeline.configuration.difference import ADDED, CHANGED, Change, named, update
from pipeline.models import Organization
from pipeline.switching import peer
from pipeline.switching.report import Report, Section


class KeyThere(Exception):
    """Credly could be called, though it must not be.  The message names the organizations, and no key."""


def take_over(source: peer.Peer, report: Report, *, with_keys: bool) -> dict[int, Organization]:
    """The organizations by the peer's primary key; what is missing here is written.  May be repeated.

    A name and an API key that are here stay.  A key that the settings hold is not stored.

    Args:
        source: the peer.
        report: gets an entry for each of which no key is known.
        with_keys: whether API keys are taken over; without, Credly can't be called.

    Raises:
        KeyThere: `with_keys` is false, and an organization has a key here all the same.
    """
    if not with_keys:
        _refuse_keys(source)
    return {row.pk: _organization(row, report, with_keys=with_keys) for row in source.organizations.values()}


def _organization(row: peer.Organization, report: Report, *, with_keys: bool) -> Organization:
    found = Organization.objects.select_for_update().filter(uuid=row.uuid).first()
    in_settings = str(row.uuid) in organizations.configured_keys()
    key = row.api_key if with_keys and not in_settings else ""
    if found is None:
        found = Organization.objects.create(uuid=row.uuid, name=row.name, api_key=key or None)
        report.changes.append(Change(ADDED, named(found), "with its API key" if key else "without an API key"))
    else:
        wanted = {"name": row.name, "api_key": key}
        differing = update(found, {field: text for field, text in wanted.items() if text and not getattr(found, field)})
        if differing:
            report.changes.append(Change(CHANGED, named(found), differing))
    if with_keys:
        _warn_without_key(row, found, report)
    return found


def _refuse_keys(source: peer.Peer) -> None:
    known = {row.uuid: row for row in Organization.objects.all()}
    uuids = [row.uuid for row in source.organizations.values()]
    callable_now = [str(name) for name in uuids if _has_key(known.get(name) or Organization(uuid=name))]
    if callable_now:
        raise KeyThere(
            f"--without-keys: Credly can be called all the same, for there is an API key of {', '.join(callable_now)}: "
            "take it out of CREDLY_ORGANIZATIONS, the BADGES_CFG file or the organization's page in the admin."
        )


def _has_key(organization: Organization) -> bool:
    try:
        return bool(organizations.api_key(organization))
    except organizations.KeyMissing:
        return False


def _warn_without_key(row: peer.Organization, organization: Organization, report: Report) -> None:
    try:
        organizations.api_key(organization)
    except organizations.KeyMissing as missing:
        report.say(
            Section.NOTED,
            "badges.credlyorganization",
            row.pk,
            f"{missing} Its badges wait until then.",
            "Where the key is in the peer's settings, set it here in the same place.",
            name=row.name,
        )
