"""reconcile: compare our badges with what Credly holds of an organization, and note where they differ.

Nothing is believed at first sight.  Between two looks badges move, and one may slip from page to page while the pages are
read.  So whatever seems to differ is looked up alone; and our badge, read before that, must be the same after it.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from typing import TypeVar
from uuid import UUID

from django.utils import timezone

from pipeline.configuration import gate, organizations, pace
from pipeline.credly.client import LIVE_STATES
from pipeline.credly.outcomes import (
    Confirmed,
    Failure,
    Outcome,
    Rejected,
    Throttled,
    Unauthorized,
    Unavailable,
    Unknown,
)
from pipeline.credly.parsing import Page
from pipeline.credly.records import IssuedBadge
from pipeline.ledgers import claims, discrepancies
from pipeline.ledgers.discrepancies import Found
from pipeline.models import Badge, Discrepancy, DiscrepancyKind, GateReason, Organization
from pipeline.stages.answers import answered, unanswered
from pipeline.stages.compare import DELETED, Listing, Suspect, at_rest, difference, stranger
from pipeline.stages.sync import note_key

logger = logging.getLogger(__name__)

LONGEST_SECONDS = 3600.0
"""After this a reconciliation gives up: it holds one of the threads that make all calls to Credly."""

MOST_ATTEMPTS = 5
"""How often one page is asked for: among thousands one that fails must not spoil the rest."""

LONGEST_WAIT = 60.0
"""Seconds between attempts: who is told to wait longer comes the next night."""

MOST_REPLACEMENTS = 10
"""How far a chain of replacements at Credly is followed."""

BADGE_DELETED = "badge.deleted"
FORBIDDEN = 403
NOT_FOUND = 404

T = TypeVar("T")

Progress = Callable[[int, int | None], None]
"""Told after each call to Credly: how many calls are done, and how many there are as far as is known."""


@dataclass(frozen=True)
class Reconciliation:
    """What a reconciliation came to.

    `compared` badges of templates known here, of which `not_ours` were issued by hand at Credly.  `found` are the rows as
    they are stored now.  `failure` says in one line why Credly was not heard out; then nothing was compared to the end, and
    what the last reconciliation found stands.
    """

    compared: int = 0
    not_ours: int = 0
    found: list[Discrepancy] = field(default_factory=list)
    failure: str = ""


class _StoppedError(Exception):
    """Credly was not heard out; the message says why."""


def reconcile(
    organization_id: int, progress: Progress | None = None, *, seconds: float = LONGEST_SECONDS
) -> Reconciliation:
    """Compare one organization's badges with Credly's.  Changes no badge.  May be repeated, by several at once.

    1. Leave Credly alone while the organization must not be called.
    2. Read all badges at Credly, page by page, and compare each page with ours.
    3. Look up alone what differs and what was not listed; of what is not there, ask the event feed whether it was deleted.
    4. Replace the organization's discrepancies by what was found, but for what changed meanwhile.

    Args:
        organization_id: if there is no such organization any more, nothing is done.
        progress: told after each call.
        seconds: after these no further call is begun.
    """
    organization = Organization.objects.filter(pk=organization_id).first()
    if organization is None:
        return Reconciliation(failure="There is no such organization any more.")
    if note_key(organization):
        organization.refresh_from_db()
    try:
        calls = _Calls(organization, progress, seconds)
        listing = Listing(organization)
        for page in calls.pages(calls.client.badge_page):
            listing.add(page)
        found = _found(calls, organization, [*listing.suspects, *listing.unlisted()])
    except _StoppedError as stopped:
        logger.error("Organization %s was not reconciled: %s", organization.uuid, stopped)
        return Reconciliation(failure=str(stopped))
    return Reconciliation(listing.compared, listing.not_ours, discrepancies.replace(organization, found))


class _Calls:
    """The calls of one reconciliation, each made only while there is time and told to `progress`.

    Every method raises _StoppedError for whatever keeps Credly from being heard out.
    """

    def __init__(self, organization: Organization, progress: Progress | None, seconds: float) -> None:
        try:
            self.client = organizations.client(organization)
        except organizations.KeyMissing as missing:
            raise _StoppedError(str(missing)) from missing
        self.expected: int | None = None
        self._organization = organization
        self._progress = progress
        self._done = 0
        self._seconds = seconds
        self._until = time.monotonic() + seconds

    def pages(self, ask: Callable[[int], Outcome[Page[T]]]) -> Iterator[list[T]]:
        """The items of all pages, each asked for when it is needed."""
        before = self._done
        for number in count(1):
            page = self._heard(partial(ask, number))
            self.expected = before + page.total_pages if page.total_pages else None
            yield page.items
            if not page.items or page.is_last(number):
                return

    def badge(self, credly_id: UUID) -> IssuedBadge | None:
        """One badge; None if Credly knows no such."""
        return self._heard(partial(self._badge, credly_id))

    def _badge(self, credly_id: UUID) -> Outcome[IssuedBadge | None]:
        match self.client.badge(credly_id):
            case Confirmed(value=issued):
                return Confirmed(issued)
            case Rejected(status=status) if status == NOT_FOUND:
                return Confirmed(None)
            case failure:
                return failure

    def _heard(self, ask: Callable[[], Outcome[T]]) -> T:
        """The answer, asked for again after a while if Credly is away or asks for fewer calls."""
        attempt = 0
        while True:
            if time.monotonic() > self._until:
                raise _StoppedError(f"Credly took longer than {self._seconds:.0f} seconds.")
            self._wait_for_turn()
            outcome = ask()
            if isinstance(outcome, Confirmed):
                self._count()
                return outcome.value
            if isinstance(outcome, Throttled | Unavailable | Unknown):
                unanswered(self._organization, outcome)
            elif isinstance(outcome, Rejected):
                answered(self._organization)
            attempt += 1
            wait = _wait(outcome, attempt)
            if wait is None:
                raise self._stopped(outcome)
            time.sleep(wait)

    def _wait_for_turn(self) -> None:
        """Until the organization may be called, as its row says by now, for others call meanwhile and find out."""
        organization = self._organization
        organization.refresh_from_db(fields=gate.FIELDS)
        while closed_until := gate.closed_until(organization):
            seconds = (closed_until - timezone.now()).total_seconds()
            if (
                organization.gate_reason == GateReason.KEY_REFUSED
                or seconds > LONGEST_WAIT
                or time.monotonic() > self._until
            ):
                raise _StoppedError(
                    f"Credly is not called: {gate.words(organization)} "
                    f"To be tried again after {closed_until:%H:%M:%S} UTC."
                )
            time.sleep(max(seconds, 0.1))
            organization.refresh_from_db(fields=gate.FIELDS)
        if not pace.wait(organization, LONGEST_WAIT):
            gate.pass_on(organization)
            raise _StoppedError("Too many other calls are to be made for this organization.")

    def _count(self) -> None:
        self._done += 1
        answered(self._organization)
        if self._progress:
            self._progress(self._done, self.expected)

    def _stopped(self, failure: Failure) -> _StoppedError:
        if isinstance(failure, Unauthorized) and not self._only_forbidden(failure):
            gate.refused(self._organization, failure.message)
        return _StoppedError(organizations.reason(failure))

    def _only_forbidden(self, refusal: Unauthorized) -> bool:
        """Whether the key works, and only that call is not for it."""
        return refusal.status == FORBIDDEN and isinstance(self.client.organization(), Confirmed)


def _wait(failure: Failure, attempt: int) -> float | None:
    """Seconds before the next attempt; None if there is none to be made."""
    if attempt == MOST_ATTEMPTS or isinstance(failure, Rejected | Unauthorized):
        return None
    named = failure.retry_after if isinstance(failure, Throttled) else None
    wait = claims.wait(attempt).total_seconds() if named is None else named
    return wait if wait <= LONGEST_WAIT else None


def _found(calls: _Calls, organization: Organization, suspects: Collection[Suspect]) -> list[Found]:
    calls.expected = None
    found = []
    for suspect in suspects:
        if suspect.badge is None:
            confirmed = _confirmed_stranger(calls, organization, suspect.credly_id)
        else:
            confirmed = _confirmed(calls, suspect.badge)
        if confirmed:
            found.append(confirmed)
    return _told_from_deleted(calls, found)


def _confirmed(calls: _Calls, pk: int) -> Found | None:
    """How our badge differs from what Credly shows now, if it does."""
    row = at_rest(pk)
    if row is None or row.credly_id is None:
        return None
    issued = calls.badge(row.credly_id)
    if issued is None:
        if row.credly_state not in discrepancies.HELD:
            return None
        return Found(DiscrepancyKind.MISSING, row, row.credly_id, f"{row.credly_state} here, unknown at Credly")
    differs = difference(row, issued)
    return Found(differs[0], row, row.credly_id, differs[1]) if differs else None


def _confirmed_stranger(calls: _Calls, organization: Organization, credly_id: UUID) -> Found | None:
    """What a live badge is that no badge of ours is, nor any whose place it took."""
    issued = calls.badge(credly_id)
    if issued is None or issued.state not in LIVE_STATES or issued.replacement_badge_id:
        return None
    return None if _replaces_ours(calls, issued) else stranger(organization, issued)


def _replaces_ours(calls: _Calls, issued: IssuedBadge) -> bool:
    for _ in range(MOST_REPLACEMENTS):
        if issued.replaces_badge_id is None:
            return False
        if Badge.objects.filter(credly_id=issued.replaces_badge_id).exists():
            return True
        before = calls.badge(issued.replaces_badge_id)
        if before is None:
            return False
        issued = before
    return False


def _told_from_deleted(calls: _Calls, found: list[Found]) -> list[Found]:
    """What somebody deleted at Credly is not missing: it was meant to go, and must not be issued again."""
    missing = {each.credly_id for each in found if each.kind == DiscrepancyKind.MISSING}
    if not missing:
        return found
    deleted = {
        event.badge_id
        for page in calls.pages(calls.client.event_page)
        for event in page
        if event.event_type == BADGE_DELETED and event.badge_id in missing
    }
    return [
        replace(each, kind=DiscrepancyKind.DIFFERENT, detail=f"{DELETED}, {each.badge.credly_state} here")
        if each.credly_id in deleted
        else each
        for each in found
    ]
