"""recheck: look up what Credly holds of a badge, and take it over."""

from typing import assert_never

from pipeline.configuration import organizations
from pipeline.credly.client import CredlyClient
from pipeline.credly.outcomes import (
    Confirmed,
    Duplicate,
    Outcome,
    Rejected,
    Throttled,
    Unauthorized,
    Unavailable,
    Unknown,
)
from pipeline.credly.records import IssuedBadge
from pipeline.ledgers import holdings, observations
from pipeline.ledgers.holdings import Done
from pipeline.models import Badge, BadgeHistory, CredlyState

SOURCE = "re-check"
"""The word for it in the badge's history."""

MOST_REPLACEMENTS = 10
"""How far a chain of replacements at Credly is followed."""

NOT_FOUND = 404
FORBIDDEN = 403


def recheck(badge_id: int) -> Done:
    """Look one badge up at Credly.  Returns what follows.  May be repeated.

    1. Leave alone a badge that Credly never had, and an organization that must not be called now.
    2. Read the badge at Credly; of a replaced one, what took its place.
    3. Take over what changed, and write what Credly said into the history even when nothing did.
    """
    badge = Badge.objects.select_related("learner", "template__organization").filter(pk=badge_id).first()
    if badge is None or badge.credly_id is None:
        return Done()
    organization = badge.template.organization
    if organizations.closed_until(organization):
        return _note(badge, "Credly was not asked: the organization has no working API key.")
    try:
        client = organizations.client(organization)
    except organizations.KeyMissing as missing:
        organizations.close(organization, str(missing))
        return _note(badge, f"Credly was not asked: {missing}")
    outcome = _current(client, badge)
    if isinstance(outcome, Confirmed | Rejected) and organizations.reopen(organization):
        holdings.resume(organization)
    return _take_over(client, badge, outcome)


def _current(client: CredlyClient, badge: Badge) -> Outcome[IssuedBadge]:
    """The badge at Credly, or the one that took its place."""
    assert badge.credly_id is not None  # noqa: S101 - the caller saw to it
    outcome = client.badge(badge.credly_id)
    for _ in range(MOST_REPLACEMENTS):
        if not isinstance(outcome, Confirmed) or outcome.value.replacement_badge_id is None:
            break
        outcome = client.badge(outcome.value.replacement_badge_id)
    return outcome


def _take_over(client: CredlyClient, badge: Badge, outcome: Outcome[IssuedBadge]) -> Done:
    match outcome:
        case Confirmed(value=issued):
            return _obey(badge, issued)
        case Rejected(status=status) if status == NOT_FOUND:
            return _not_found(client, badge)
        case Rejected(message=message) | Duplicate(message=message):
            return _note(badge, f"Credly says: {message}")
        case Unauthorized(status=status, message=message):
            if status == FORBIDDEN and isinstance(client.organization(), Confirmed):
                return _note(badge, f"Credly forbids this call: {message}")
            organizations.close(badge.template.organization, message)
            return _note(badge, f"Credly refuses the organization's key: {message}")
        case Throttled():
            return _note(badge, "Credly asked for fewer calls: ask again later.")
        case Unavailable(reason=reason) | Unknown(reason=reason):
            return _note(badge, f"No answer: {reason}")
        case _:
            assert_never(outcome)


def _obey(badge: Badge, issued: IssuedBadge) -> Done:
    """Bring our badge in line with what Credly shows of it."""
    if issued.state == CredlyState.REVOKED:
        done = observations.gone(badge, "revoked at Credly", SOURCE)
        return done if done.signals else _note(badge, "revoked at Credly")
    if issued.state not in observations.HELD:
        return _note(badge, f"{issued.state} at Credly, which tells nothing about our badge")
    state = CredlyState(issued.state)
    if issued.id == badge.credly_id:
        news = observations.held(badge, state, SOURCE)
    elif holdings.belongs_to_another(issued.id, badge):
        return _note(badge, f"replaced at Credly by {issued.id}, which is another badge of ours")
    else:
        news = observations.replaced(badge, issued.id, state, SOURCE)
    return Done() if news else _note(badge, f"{state} at Credly")


def _not_found(client: CredlyClient, badge: Badge) -> Done:
    """Credly knows no badge of this id: gone, unless its list of the learner's badges says otherwise."""
    earner = str(badge.learner.lms_user_id)
    listed = client.find_badges(badge.template.uuid, issuer_earner_id=earner, states=())
    if not isinstance(listed, Confirmed):
        return _note(badge, "Credly did not find the badge, and its list could not be read: ask again later.")
    if any(issued.id == badge.credly_id for issued in listed.value):
        return _note(badge, "Credly did not find the badge, and yet lists it.")
    done = observations.gone(badge, "not at Credly any more", SOURCE)
    return done if done.signals else _note(badge, "not at Credly")


def _note(badge: Badge, outcome: str) -> Done:
    BadgeHistory.objects.create(badge=badge, what=SOURCE, outcome=outcome)
    return Done()
