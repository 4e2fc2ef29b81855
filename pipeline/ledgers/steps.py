"""Steps: what is to do at Credly to bring it to a badge's standing."""

import enum

from pipeline.models import Badge, CredlyState, Standing


class Step(enum.Enum):
    """What to do at Credly to bring it to a badge's standing."""

    ISSUE = "issue"
    LOOK_UP_THEN_ISSUE = "look up, then issue"
    LOOK_UP_THEN_CANCEL = "look up, then cancel"
    REVOKE = "revoke"
    LOOK_UP_THEN_REVOKE = "look up, then revoke"


STEPS = {
    # (standing, what Credly holds): what to do; a state that names a call whose answer never came is looked up first
    (Standing.AWARDED, CredlyState.NONE): Step.ISSUE,
    (Standing.AWARDED, CredlyState.ISSUING): Step.LOOK_UP_THEN_ISSUE,
    (Standing.REVOKED, CredlyState.ISSUING): Step.LOOK_UP_THEN_CANCEL,
    (Standing.REVOKED, CredlyState.PENDING): Step.REVOKE,
    (Standing.REVOKED, CredlyState.ACCEPTED): Step.REVOKE,
    (Standing.REVOKED, CredlyState.REJECTED): Step.REVOKE,
    (Standing.REVOKED, CredlyState.REVOKING): Step.LOOK_UP_THEN_REVOKE,
}
AT_ONCE = (Step.ISSUE, Step.REVOKE)
"""Steps without a look-up."""

ISSUING = (Step.ISSUE, Step.LOOK_UP_THEN_ISSUE, Step.LOOK_UP_THEN_CANCEL)
"""Steps of a badge of which Credly may hold one that we do not know by its id."""

WHILE = {
    Step.ISSUE: CredlyState.ISSUING,
    Step.LOOK_UP_THEN_ISSUE: CredlyState.ISSUING,
    Step.LOOK_UP_THEN_CANCEL: CredlyState.ISSUING,
    Step.REVOKE: CredlyState.REVOKING,
    Step.LOOK_UP_THEN_REVOKE: CredlyState.REVOKING,
}


def at_rest(badge: Badge) -> bool:
    """Whether there is nothing to do for a badge."""
    return _key(badge) not in STEPS


def step(badge: Badge) -> Step:
    """What to do for a badge that is not at rest.  Where Credly refuses no duplicate it is looked up before it is issued."""
    usual = STEPS[_key(badge)]
    return Step.LOOK_UP_THEN_ISSUE if usual is Step.ISSUE and badge.template.allows_duplicates else usual


def _key(badge: Badge) -> tuple[Standing, CredlyState]:
    return Standing(badge.standing), CredlyState(badge.credly_state)
