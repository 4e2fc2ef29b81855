"""observe: look a badge up at Credly, and take over what Credly says of it.  For the stages that do so.

Our badge is read first and Credly then, and ours is written only if it is still as it was read.  So of several who look
at once an older sight never replaces a newer one; who lost looks again.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone

from pipeline.credly.client import LIVE_STATES, CredlyClient
from pipeline.credly.outcomes import Confirmed, Failure, Outcome, Rejected, Unavailable
from pipeline.credly.records import IssuedBadge
from pipeline.ledgers import holdings, observations, siblings
from pipeline.ledgers.holdings import Done
from pipeline.models import Badge, CredlyState
from pipeline.stages import search

MOST_REPLACEMENTS = 10
"""How far a chain of replacements is followed."""

SHOWN_WITHIN = timedelta(seconds=30)
"""After this Credly shows everywhere what it holds and what happened; sooner, a replica may lag."""


@dataclass(frozen=True)
class Seen:
    """What Credly says is taken over (`is_news`, and the badge's history tells it), or tells nothing new."""

    words: str
    done: Done = field(default_factory=Done)
    is_news: bool = False


@dataclass(frozen=True)
class Unsettled:
    """It can't be said yet: look again later, or at a certain time."""

    reason: str
    until: datetime | None = None


def not_shown() -> Unsettled:
    """A first look did not find it, which may be a stale view: only a second one counts."""
    return Unsettled(observations.NOT_SHOWN, timezone.now() + SHOWN_WITHIN)


def observe(
    client: CredlyClient, badge: Badge, source: str, actor: str = "", *, is_absence_certain: bool = False
) -> Seen | Unsettled | Failure:
    """Take over what Credly says of a badge.  May be repeated, by several at once.

    1. Read the badge at Credly; of a replaced one what took its place.  One that Credly does not find is looked for in the
       learner's list.  If it is not there either, that may be a stale view: nothing is revoked before it is certain.
    2. While our own call about it is out, look again later: its answer says more than we could.  So where that list may have
       another badge of the learner's, for another value, that is being issued.
    3. Take over what changed.

    Args:
        client: of the badge's organization.
        badge: just read, with its Credly id.
        source: how we came to look, for the history.
        actor: the operator who looked, if one did.
        is_absence_certain: a look at least `SHOWN_WITHIN` ago did not find it either, or Credly tells that it was deleted.
    """
    outcome = _current(client, badge)
    if not isinstance(outcome, Confirmed):
        return outcome
    if outcome.value is None and not is_absence_certain and badge.credly_state in observations.MAY_BE_HELD:
        return not_shown()
    if outcome.value is None:
        return _gone(badge, "not at Credly any more", source, actor)
    if outcome.value.state == CredlyState.REVOKED:
        return _gone(badge, "revoked at Credly", source, actor)
    return _held(badge, outcome.value, source, actor)


def _current(client: CredlyClient, badge: Badge) -> Outcome[IssuedBadge | None] | Unsettled:
    """What is now this badge at Credly; None if nothing is."""
    if badge.credly_id is None:
        return Confirmed(None)
    credly_id = badge.credly_id
    for _ in range(1 + MOST_REPLACEMENTS):
        outcome = client.badge(credly_id)
        match outcome:
            case Rejected(status=404):
                return _listed(client, badge, credly_id)
            case Confirmed(value=issued) if issued.replacement_badge_id:
                credly_id = issued.replacement_badge_id
            case Confirmed(value=issued):
                return Confirmed(issued)
            case _:
                return outcome
    return Unavailable(f"Credly shows more than {MOST_REPLACEMENTS} replacements of the badge")


def _listed(client: CredlyClient, badge: Badge, missing: UUID) -> Outcome[IssuedBadge | None] | Unsettled:
    """The live badge of this learner and template at Credly, which finds no badge of the id `missing`."""
    found = search.candidates(client, badge, states=observations.HELD)
    if not isinstance(found, Confirmed):
        return found
    if any(issued.id == missing for issued in found.value):
        return Unavailable("Credly did not find the badge, and yet lists it")
    live = next((issued for issued in found.value if issued.state in LIVE_STATES), None)
    if live is not None and siblings.another_may_appear(badge):
        return Unsettled(search.MAY_BE_ANOTHER)
    return Confirmed(live)


def _gone(badge: Badge, how: str, source: str, actor: str) -> Seen | Unsettled:
    if badge.credly_state == CredlyState.ISSUING:
        return Unsettled("Our own call to issue the badge is not answered yet.")
    if badge.credly_state in (CredlyState.NONE, CredlyState.REVOKED):
        return Seen(f"{how}, as it is here.")
    done = observations.gone(badge, how, source, actor)
    return Seen(f"{how}.", done, is_news=True) if done.signals else _changed_meanwhile()


def _held(badge: Badge, issued: IssuedBadge, source: str, actor: str) -> Seen | Unsettled:
    if badge.credly_state in (CredlyState.ISSUING, CredlyState.REVOKING):
        return Unsettled("Our own call about the badge is not answered yet.")
    if issued.state not in observations.HELD:
        return Seen(f"{issued.state} at Credly, which tells us nothing.")
    state = CredlyState(issued.state)
    if badge.credly_state not in observations.HELD:
        return Seen(f"{state} at Credly; it stays {badge.credly_state} here.")
    if issued.id != badge.credly_id:
        return _replaced(badge, issued.id, state, source, actor)
    if badge.credly_state == state:
        return Seen(f"{state} at Credly, as it is here.")
    news = observations.held(badge, state, source, actor)
    return Seen(f"{state} at Credly.", is_news=True) if news else _changed_meanwhile()


def _replaced(badge: Badge, credly_id: UUID, state: CredlyState, source: str, actor: str) -> Seen | Unsettled:
    if holdings.of_others([credly_id], badge):
        return Seen(f"replaced at Credly by {credly_id}, which is another badge of ours.")
    news = observations.replaced(badge, credly_id, state, source, actor)
    words = f"replaced at Credly by {credly_id}, {state}."
    return Seen(words, is_news=True) if news else _changed_meanwhile()


def _changed_meanwhile() -> Unsettled:
    return Unsettled("The badge changed while Credly was asked.")
