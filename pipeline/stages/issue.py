"""issue: bring Credly to a badge's standing.

Calling it twice, late or out of order is harmless: it reads the badge, compares, acts and records.  No call is made
inside a transaction, and what is about to be called is in the database before the call goes out.
"""

from contextlib import suppress
from datetime import timedelta
from typing import assert_never
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import DatabaseError, InterfaceError, OperationalError
from django.utils import timezone

from pipeline.configuration import gate, organizations, pace
from pipeline.credly.client import CredlyClient
from pipeline.credly.outcomes import (
    Confirmed,
    Duplicate,
    Failure,
    Outcome,
    Rejected,
    Throttled,
    Unauthorized,
    Unavailable,
    Unknown,
)
from pipeline.credly.records import IssuedBadge, IssueRequest
from pipeline.ledgers import claims, holdings, siblings, steps
from pipeline.ledgers.holdings import Claim, Done
from pipeline.ledgers.steps import Step
from pipeline.models import Badge, CredlyState, Learner
from pipeline.stages import clock_change, search
from pipeline.stages.answers import answered, unanswered

LATE_EFFECT = timedelta(seconds=10)
"""How long after a call without answer its effect may still appear at Credly: as long as we waited for the answer."""

EARLIER_CYCLE_WAIT = timedelta(seconds=10)
SHOWN_WITHIN = timedelta(seconds=30)
"""After this we look once more for a badge that Credly calls a duplicate but does not show."""

LOOKS_AGAIN = "Credly holds nothing yet; looks once more."
NOT_SHOWN = "; but it shows no such badge."

ONE_AT_MOST = (
    "Credly does not let a learner hold this badge twice: allow duplicates for the template at Credly, then retry."
)

FORBIDDEN = 403
_CLAIM_ENDED = Unavailable("the claim ended")
REVOCATION_REASON = "The requirements of this badge are no longer fulfilled."
NAME_LENGTH = 100
"""Characters of a first or last name that go to Credly; its own limit is not documented."""


def issue(badge_id: int) -> Done:
    """Take one step towards the badge's standing at Credly.  Returns what follows.  May be repeated.

    1. Leave alone what is not due, by a clock that was not just set; hold back what must not be called for now.
    2. Take a turn among the organization's calls, or come back in a moment.
    3. Claim the badge, noting that a call is out; one that killed too many workers is set aside.
    4. Call Credly; refuse what can't be issued without asking, but not without the look-up that a lost answer needs.
    5. Record the result, with the signal that tells it, or when to try again; tell the organization's gate.

    Raises:
        DatabaseError, InterfaceError: the database, not the badge, is at fault; the badge stays due.
    """
    clock_change.notice()
    badge = holdings.due(badge_id)
    if badge is None or _must_wait(badge):
        return Done()
    organization = badge.template.organization
    try:
        client = organizations.client(organization)
    except organizations.KeyMissing as missing:
        holdings.hold_back(badge, gate.refused(organization, str(missing)), f"{holdings.GATE_CLOSED} {missing}")
        return Done()
    with pace.turn(organization, _CALLS[steps.step(badge)]) as may_call:
        if not may_call:
            holdings.hold_back(badge, timezone.now() + pace.HELD_BACK, badge.error)
        claim = holdings.claim(badge) if may_call else None
        if claim is None:
            gate.pass_on(organization)
            return Done()
        return _take_step(client, claim)


def _take_step(client: CredlyClient, claim: Claim) -> Done:
    try:
        return _STEPS[claim.step](client, claim)
    except (OperationalError, InterfaceError):
        with suppress(DatabaseError, InterfaceError):
            holdings.put_down(claim)
        raise
    except DatabaseError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a badge causes must show in its row, and not for ever at once
        return holdings.stumbled(claim, error)


def _must_wait(badge: Badge) -> bool:
    if badge.cycle > 1 and holdings.earlier_cycle_is_live(badge):
        until = timezone.now() + EARLIER_CYCLE_WAIT
        holdings.hold_back(badge, until, "Waits until Credly has revoked the learner's earlier badge.")
        return True
    if siblings.another_is_being_issued(badge):
        until = timezone.now() + EARLIER_CYCLE_WAIT
        holdings.hold_back(badge, until, "Waits until Credly has answered about another badge of the learner's.")
        return True
    organization = badge.template.organization
    closed_until = gate.closed_until(organization)
    if closed_until:
        holdings.hold_back(badge, closed_until, f"{holdings.GATE_CLOSED} {gate.words(organization)}")
    return closed_until is not None


def _unissuable(learner: Learner) -> str | None:
    """Why Credly need not be asked to issue a badge to this learner; None if nothing speaks against it."""
    if learner.retired_at:
        return "The learner was retired, so there is no e-mail to issue the badge to."
    try:
        validate_email(learner.email)
    except ValidationError:
        missing = "is missing" if not learner.email else "is no e-mail address"
        return f"The learner's e-mail {missing}, and Credly issues badges to e-mail addresses only."
    return None


def _issue(client: CredlyClient, claim: Claim) -> Done:
    unissuable = _unissuable(claim.badge.learner)
    if unissuable:
        gate.pass_on(claim.badge.template.organization)
        return holdings.failed(claim, unissuable)
    if not holdings.still_claimed(claim):
        gate.pass_on(claim.badge.template.organization)
        return Done()
    outcome = client.issue(_request(claim.badge))
    match outcome:
        case Confirmed(value=issued):
            return _held(claim, issued, "issued")
        case Duplicate(message=message):
            return _adopt_duplicate(client, claim, message)
        case _:
            return _not_done(client, claim, outcome, before=CredlyState.NONE)


def _adopt_duplicate(client: CredlyClient, claim: Claim, message: str) -> Done:
    """Credly holds such a badge already: it is ours from a call whose answer was lost, or from before our time."""
    found = _find(client, claim)
    if not isinstance(found, Confirmed):
        return _not_seen(client, claim, found)
    if found.value is not None:
        return _held(claim, found.value, "adopted")
    if siblings.another_is_held(claim.badge):
        return _answered(claim, holdings.failed(claim, f"{ONE_AT_MOST} Credly says: {message}"))
    if not claim.badge.error.endswith(NOT_SHOWN):
        reason = f"Credly says: {message}{NOT_SHOWN}"
        return _answered(claim, holdings.postponed(claim, CredlyState.ISSUING, reason, timezone.now() + SHOWN_WITHIN))
    return _answered(
        claim, holdings.failed(claim, f"Credly says: {message}; but shows no live badge that could be this learner's.")
    )


def _look_up_then_issue(client: CredlyClient, claim: Claim) -> Done:
    found = _find(client, claim)
    if not isinstance(found, Confirmed):
        return _not_seen(client, claim, found)
    return _held(claim, found.value, "found") if found.value else _issue(client, claim)


def _look_up_then_cancel(client: CredlyClient, claim: Claim) -> Done:
    found = _find(client, claim)
    if not isinstance(found, Confirmed):
        return _not_seen(client, claim, found)
    if found.value:
        return _held(claim, found.value, "found")
    if claim.badge.error != LOOKS_AGAIN:  # nobody looks again after a cancellation
        again = timezone.now() + holdings.SURELY_EFFECTIVE
        return _answered(claim, holdings.postponed(claim, CredlyState.ISSUING, LOOKS_AGAIN, again))
    return _answered(claim, holdings.cancelled(claim))


def _revoke(client: CredlyClient, claim: Claim) -> Done:
    if not holdings.still_claimed(claim):
        gate.pass_on(claim.badge.template.organization)
        return Done()
    outcome = client.revoke(_credly_id(claim), claim.badge.revocation_reason or REVOCATION_REASON)
    match outcome:
        case Confirmed():
            return _withdrawn(claim, "revoked at Credly")
        case Rejected():
            return _revocation_rejected(client, claim, outcome)
        case _:
            return _not_done(client, claim, outcome, before=CredlyState(claim.badge.credly_state))


def _look_up_then_revoke(client: CredlyClient, claim: Claim) -> Done:
    outcome = client.badge(_credly_id(claim))
    match outcome:
        case Confirmed(value=badge) if badge.state == "revoked":
            return _withdrawn(claim, "found revoked at Credly")
        case Confirmed():
            return _revoke(client, claim)
        case Rejected(status=404):
            return _not_found(client, claim)
        case _:
            return _not_seen(client, claim, outcome)


def _revocation_rejected(client: CredlyClient, claim: Claim, rejected: Rejected) -> Done:
    """Credly will not revoke: it is revoked or declined already, another badge took its place, or it is gone.  Look which."""
    outcome = client.badge(_credly_id(claim))
    match outcome:
        case Confirmed(value=badge) if badge.state == "revoked":
            return _withdrawn(claim, "found revoked at Credly")
        case Confirmed(value=badge) if badge.state == "rejected":
            return _withdrawn(claim, "declined by the learner, so there is nothing to revoke")
        case Confirmed(value=badge) if badge.replacement_badge_id:
            return _answered(claim, holdings.replaced(claim, badge.replacement_badge_id))
        case Confirmed() if rejected.status == 404:
            return _answered(
                claim,
                holdings.postponed(claim, CredlyState.REVOKING, "Credly did not find the badge, and yet shows it."),
            )
        case Confirmed():
            return _answered(claim, holdings.failed(claim, f"Credly says: {rejected.message}"))
        case Rejected(status=404):
            return _not_found(client, claim)
        case _:
            return _not_seen(client, claim, outcome)


def _not_found(client: CredlyClient, claim: Claim) -> Done:
    """Credly knows no badge of this id: gone, unless its list of the learner's badges says otherwise."""
    found = _find(client, claim)
    if not isinstance(found, Confirmed):
        return _not_seen(client, claim, found)
    if found.value is None:
        return _withdrawn(claim, "not at Credly any more")
    if found.value.id == claim.badge.credly_id:
        return _answered(
            claim, holdings.postponed(claim, CredlyState.REVOKING, "Credly did not find the badge, and yet lists it.")
        )
    if siblings.another_may_appear(claim.badge):
        return _answered(claim, holdings.postponed(claim, CredlyState.REVOKING, search.MAY_BE_ANOTHER))
    return _answered(claim, holdings.replaced(claim, found.value.id))


_STEPS = {
    Step.ISSUE: _issue,
    Step.LOOK_UP_THEN_ISSUE: _look_up_then_issue,
    Step.LOOK_UP_THEN_CANCEL: _look_up_then_cancel,
    Step.REVOKE: _revoke,
    Step.LOOK_UP_THEN_REVOKE: _look_up_then_revoke,
}
_CALLS = {
    # What a step takes as a rule; a duplicate, a long list or a refusal takes more.
    Step.ISSUE: 1,
    Step.LOOK_UP_THEN_ISSUE: 3,
    Step.LOOK_UP_THEN_CANCEL: 2,
    Step.REVOKE: 1,
    Step.LOOK_UP_THEN_REVOKE: 2,
}


def _find(client: CredlyClient, claim: Claim) -> Outcome[IssuedBadge | None]:
    """The live badge at Credly that is this one."""
    found = search.candidates(client, claim.badge, stop=lambda: None if holdings.renew(claim) else _CLAIM_ENDED)
    return Confirmed(next(iter(found.value), None)) if isinstance(found, Confirmed) else found


def _held(claim: Claim, issued: IssuedBadge, how: str) -> Done:
    known = {CredlyState.ACCEPTED, CredlyState.REJECTED}
    state = CredlyState(issued.state) if issued.state in known else CredlyState.PENDING
    return _answered(claim, holdings.held(claim, issued.id, state, how))


def _withdrawn(claim: Claim, how: str) -> Done:
    return _answered(claim, holdings.withdrawn(claim, how))


def _answered(claim: Claim, done: Done) -> Done:
    """The result is recorded, and it is one that Credly gave: the organization's gate may hear of it."""
    answered(claim.badge.template.organization)
    return done


def _not_seen(client: CredlyClient, claim: Claim, failure: Failure) -> Done:
    """A look at Credly failed, so nothing more is known; even a refusal of it must not end in giving the badge up."""
    out = steps.WHILE[claim.step]
    if isinstance(failure, Rejected):
        return _answered(claim, holdings.postponed(claim, out, f"Credly says: {failure.message}"))
    return _not_done(client, claim, failure, before=out)


def _not_done(client: CredlyClient, claim: Claim, failure: Failure, *, before: CredlyState) -> Done:
    """The call brought no result.

    Args:
        client: the organization's client.
        claim: the claim under which it was made.
        failure: how it ended.
        before: what is known of Credly if this very call did nothing there.
    """
    now = timezone.now()
    match failure:
        case Rejected(message=message) | Duplicate(message=message):
            return _answered(claim, holdings.failed(claim, f"Credly says: {message}"))
        case Unauthorized():
            return _not_authorized(client, claim, failure, before)
        case Throttled(retry_after=seconds):
            named = now + timedelta(seconds=seconds) if seconds else None
            done = holdings.postponed(claim, before, "Credly asked for fewer calls.", named)
        case Unavailable(reason=reason):
            done = holdings.postponed(claim, before, reason)
        case Unknown(reason=reason):
            sure = now + max(LATE_EFFECT, claims.wait(claim.badge.attempts + 1))
            done = holdings.postponed(claim, steps.WHILE[claim.step], reason, sure)
        case _:
            assert_never(failure)
    if failure is _CLAIM_ENDED:
        gate.pass_on(claim.badge.template.organization)
    else:
        unanswered(claim.badge.template.organization, failure)
    return done


def _not_authorized(client: CredlyClient, claim: Claim, refusal: Unauthorized, before: CredlyState) -> Done:
    """The key is dead, or it works and only this call is forbidden: then no other badge must wait for it."""
    if refusal.status == FORBIDDEN and isinstance(client.organization(), Confirmed):
        later = timezone.now() + max(gate.PROBE_LASTS, claims.wait(claim.badge.attempts + 1))
        reason = f"Credly forbids this call: {refusal.message}"
        return _answered(claim, holdings.postponed(claim, before, reason, later))
    next_probe = gate.refused(claim.badge.template.organization, refusal.message)
    reason = f"{holdings.GATE_CLOSED} it refuses the organization's key: {refusal.message}"
    return holdings.postponed(claim, before, reason, next_probe)


def _request(badge: Badge) -> IssueRequest:
    first_name, last_name = _names(badge.learner)
    return IssueRequest(
        template=badge.template.uuid,
        recipient_email=badge.learner.email,
        first_name=first_name,
        last_name=last_name,
        issued_at=badge.earned_at,
        issuer_earner_id=search.earner_id(badge.learner),
    )


def _names(learner: Learner) -> tuple[str, str]:
    """First word and the rest; one word is both, since Credly demands both; without a name the username stands in."""
    words = learner.name.split() or learner.username.split() or ["-"]
    first, rest = words[0], " ".join(words[1:]) or words[0]
    return first[:NAME_LENGTH], rest[:NAME_LENGTH]


def _credly_id(claim: Claim) -> UUID:
    """Credly's id of a badge that is to be revoked; such a badge always has one."""
    credly_id = claim.badge.credly_id
    if credly_id is None:
        raise ValueError(f"badge {claim.badge.uuid} is to be revoked and has no Credly id")
    return credly_id
