"""What a badge of the peer is here.

Of a badge without an id at Credly the peer does not know whether Credly holds it: its call may have been lost before or
after it had its effect.  So it gets the state of a call whose answer never came, and Credly is looked at first.
"""

from dataclasses import dataclass
from uuid import UUID

from pipeline.models import CredlyState, RevokedBy, Standing
from pipeline.switching.cases import Badge
from pipeline.switching.peer import REVOKED
from pipeline.switching.report import Section

HELD = (CredlyState.PENDING, CredlyState.ACCEPTED, CredlyState.REJECTED)
IN_MOTION = (CredlyState.ISSUING, CredlyState.REVOKING)


@dataclass(frozen=True, slots=True)
class Holding:
    """A badge as it is to be written; what is in motion is due at once.

    `reason` and `advice` are for the report, in the `section`; empty if there is nothing to say.
    """

    standing: Standing
    credly_state: CredlyState
    credly_id: UUID | None
    revoked_by: RevokedBy | None = None
    reason: str = ""
    advice: str = ""

    @property
    def section(self) -> Section:
        """Where the report speaks of it."""
        return Section.ASKED if self.is_due else Section.NOTED

    @property
    def is_due(self) -> bool:
        """Whether Credly has to be asked."""
        return self.credly_state in IN_MOTION


def holding(badge: Badge) -> Holding:
    """What the badge is here."""
    return _revoked(badge) if badge.status == REVOKED else _awarded(badge)


def _awarded(badge: Badge) -> Holding:
    if badge.state == REVOKED:
        return Holding(
            Standing.REVOKED,
            CredlyState.REVOKED,
            badge.credly_id,
            RevokedBy.CREDLY,
            "Awarded at the peer, and revoked at Credly: no event gives it back.",
            "An operator can let the rules decide again, on the badge's page.",
        )
    if badge.credly_id is None:
        return Holding(
            Standing.AWARDED,
            CredlyState.ISSUING,
            None,
            reason=f"Awarded, {badge.state} and without an id at Credly, which may or may not hold it. Credly is looked "
            "at first: what is found there is adopted, else the badge is issued.",
        )
    if badge.state in HELD:
        return Holding(Standing.AWARDED, CredlyState(badge.state), badge.credly_id)
    return Holding(
        Standing.AWARDED,
        CredlyState.PENDING,
        badge.credly_id,
        reason=f"{badge.state} at the peer, with an id at Credly: here it counts as pending.",
        advice="manage.py reconcile says what Credly has.",
    )


def _revoked(badge: Badge) -> Holding:
    if badge.state == REVOKED:
        return Holding(Standing.REVOKED, CredlyState.REVOKED, badge.credly_id, RevokedBy.RULES)
    if badge.credly_id is None:
        return Holding(
            Standing.REVOKED,
            CredlyState.ISSUING,
            None,
            RevokedBy.RULES,
            f"Revoked, {badge.state} and without an id at Credly, which may or may not hold it. Credly is looked at "
            "twice; what is found there is revoked, and nothing is issued.",
        )
    return Holding(
        Standing.REVOKED,
        CredlyState.REVOKING,
        badge.credly_id,
        RevokedBy.RULES,
        f"Revoked at the peer, and {badge.state} at Credly as far as it knows. Credly is looked at, and the badge is "
        "revoked there unless it is already.",
    )
