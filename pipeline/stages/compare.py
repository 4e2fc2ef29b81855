"""compare: how badges at Credly differ from ours.  For reconciliation; reads our tables, calls nothing, writes nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from pipeline.credly.client import LIVE_STATES
from pipeline.credly.records import IssuedBadge
from pipeline.ledgers.discrepancies import AT_REST, HELD, Found
from pipeline.models import Badge, CredlyState, DiscrepancyKind, Organization, Standing, Template

DELETED = "deleted at Credly"
"""How a difference begins of which Credly's event feed tells that the badge was deleted."""

LARGEST_ID = 2**63 - 1
"""What the database takes as an LMS user id."""


@dataclass(frozen=True)
class Suspect:
    """A badge at Credly that seems to differ.  `badge` is the id of ours; None if no badge of ours has that Credly id."""

    credly_id: UUID
    badge: int | None


class Listing:
    """All badges of an organization that Credly lists, taken page by page.

    Kept are ids alone, so an organization of 100,000 badges costs some ten megabytes.  Ours are read after each page:
    what moved between the two is suspected wrongly, and has to be looked at again.
    """

    def __init__(self, organization: Organization) -> None:
        self.compared = 0
        self.not_ours = 0
        self.suspects: list[Suspect] = []
        self._ours = Badge.objects.filter(template__organization=organization)
        self._templates = set(Template.objects.filter(organization=organization).values_list("uuid", flat=True))
        self._listed: set[UUID] = set()

    def add(self, page: Sequence[IssuedBadge]) -> None:
        """Compare one page.  Badges of templates that are not known here, and those that came before, are passed over."""
        fresh = {issued.id: issued for issued in page if issued.template in self._templates}
        fresh = {key: issued for key, issued in fresh.items() if key not in self._listed}
        self._listed.update(fresh)
        rows = {row.credly_id: row for row in self._ours.filter(credly_id__in=fresh)}
        strangers = []
        for issued in fresh.values():
            row = rows.get(issued.id)
            if row is not None:
                self.compared += 1
                if difference(row, issued):
                    self.suspects.append(Suspect(issued.id, row.pk))
            elif issued.state in LIVE_STATES:
                strangers.append(issued)
        self._add_strangers(strangers)

    def _add_strangers(self, strangers: Sequence[IssuedBadge]) -> None:
        """Live badges that no badge of ours is: issued by hand, unless a learner of ours has one of that template here."""
        if not strangers:
            return
        self.compared += len(strangers)
        learners = {number for issued in strangers if (number := lms_user_id(issued)) is not None}
        known = set(
            self._ours.filter(learner__lms_user_id__in=learners).values_list("learner__lms_user_id", "template__uuid")
        )
        for issued in strangers:
            if (lms_user_id(issued), issued.template) in known:
                self.suspects.append(Suspect(issued.id, None))
            else:
                self.not_ours += 1

    def unlisted(self) -> Iterator[Suspect]:
        """Those that Credly holds as far as we know, and did not list."""
        held = self._ours.filter(AT_REST, credly_state__in=HELD).values_list("credly_id", "pk")
        for credly_id, pk in held.iterator():
            if credly_id is not None and credly_id not in self._listed:
                self.compared += 1
                yield Suspect(credly_id, pk)


def difference(row: Badge, issued: IssuedBadge) -> tuple[DiscrepancyKind, str] | None:
    """How our badge differs from what Credly shows under its id; None if it does not, or tells nothing."""
    if row.credly_state == CredlyState.REVOKED:
        if issued.state in LIVE_STATES and not issued.replacement_badge_id:
            return DiscrepancyKind.EXTRA, f"{issued.state} at Credly, revoked here"
        return None
    if row.credly_state not in HELD:
        return None
    if issued.replacement_badge_id:
        return DiscrepancyKind.DIFFERENT, f"replaced at Credly by {issued.replacement_badge_id}"
    if issued.state != row.credly_state and issued.state in (*HELD, CredlyState.REVOKED):
        return DiscrepancyKind.DIFFERENT, f"{issued.state} at Credly, {row.credly_state} here"
    return None


def at_rest(pk: int) -> Badge | None:
    """Our badge as it is now, if no call about it is out or due."""
    return Badge.objects.filter(AT_REST, pk=pk).select_related("template", "learner").first()


def stranger(organization: Organization, issued: IssuedBadge) -> Found | None:
    """What a live badge at Credly is, of which no badge of ours has the id; None if it is none of ours to judge.

    Of no interest: one of a learner who has no badge of that template here (it was issued by hand), one whose learner's
    badges are in motion, and one that became ours meanwhile.
    """
    learner = lms_user_id(issued)
    if learner is None:
        return None
    rows = list(
        Badge.objects.filter(
            template__organization=organization, template__uuid=issued.template, learner__lms_user_id=learner
        )
        .select_related("template", "learner")
        .order_by("cycle")
    )
    resting = Badge.objects.filter(AT_REST, pk__in=[row.pk for row in rows]).count()
    if not rows or resting < len(rows) or Badge.objects.filter(credly_id=issued.id).exists():
        return None
    newest = {row.value: row for row in rows}.values()
    awarded = [row for row in newest if row.standing == Standing.AWARDED]
    if not awarded:
        return Found(
            DiscrepancyKind.EXTRA, rows[-1], issued.id, f"{issued.state} at Credly, the learner's is revoked here"
        )
    failed = next((row for row in awarded if row.credly_id is None), None)
    if failed is not None:
        return Found(DiscrepancyKind.DIFFERENT, failed, issued.id, f"{issued.state} at Credly, failed here")
    return Found(DiscrepancyKind.EXTRA, awarded[-1], issued.id, f"{issued.state} at Credly beside the learner's own")


def lms_user_id(issued: IssuedBadge) -> int | None:
    """The LMS user id that Credly's badge carries, if it can be one."""
    earner = issued.issuer_earner_id or ""
    if not (earner.isascii() and earner.isdecimal() and len(earner) < 20):
        return None
    return number if (number := int(earner)) <= LARGEST_ID else None
