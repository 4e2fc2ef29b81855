"""search: find at Credly the badges that may be one of ours, by learner and template.  For the stages that look for one."""

from collections.abc import Callable, Sequence

from pipeline.credly.client import LIVE_STATES, CredlyClient
from pipeline.credly.outcomes import Confirmed, Failure, Outcome
from pipeline.credly.records import IssuedBadge
from pipeline.ledgers import holdings
from pipeline.models import Badge, Learner

MAY_BE_ANOTHER = "Credly did not find the badge; what it lists may be another of the learner's that is being issued."
"""Why nothing follows from a badge of the learner's that Credly lists in place of one that is not found."""


def candidates(
    client: CredlyClient,
    badge: Badge,
    *,
    states: Sequence[str] = LIVE_STATES,
    stop: Callable[[], Failure | None] = lambda: None,
) -> Outcome[list[IssuedBadge]]:
    """Badges at Credly of our earner id, else of the e-mail if they carry no other earner id; none that is another of ours.

    The second search finds badges that were issued before our time, without an earner id.  It is left out once a live badge
    is found.

    Args:
        client: of the badge's organization.
        badge: ours, with learner and template.
        states: at Credly.
        stop: asked before each call; a failure it returns ends the search.
    """
    found: list[IssuedBadge] = []
    for criterion in _criteria(badge.learner):
        if any(issued.state in LIVE_STATES for issued in found):
            break
        if failure := stop():
            return failure
        outcome = client.find_badges(badge.template.uuid, states=states, **criterion)
        if not isinstance(outcome, Confirmed):
            return outcome
        found += _may_be(outcome.value, badge)
    return Confirmed(found)


def earner_id(learner: Learner) -> str:
    """What Credly knows the learner by: the LMS user id, which stays when the e-mail changes."""
    return str(learner.lms_user_id)


def _criteria(learner: Learner) -> list[dict[str, str]]:
    by_id = {"issuer_earner_id": earner_id(learner)}
    return [by_id, {"recipient_email": learner.email}] if learner.email else [by_id]


def _may_be(listed: Sequence[IssuedBadge], badge: Badge) -> list[IssuedBadge]:
    of_learner = [issued for issued in listed if issued.issuer_earner_id in (None, "", earner_id(badge.learner))]
    of_others = holdings.of_others([issued.id for issued in of_learner], badge)
    return [issued for issued in of_learner if issued.id not in of_others]
