"""recheck: look up what Credly holds of a badge, and take it over."""

from pipeline.configuration import organizations
from pipeline.credly.client import CredlyClient
from pipeline.credly.outcomes import Confirmed, Failure, Rejected, Unauthorized
from pipeline.ledgers import holdings
from pipeline.ledgers.holdings import Done
from pipeline.models import Badge, BadgeHistory
from pipeline.stages.observe import Seen, Unsettled, observe

SOURCE = "re-check"
"""The word for it in the badge's history."""

FORBIDDEN = 403


def recheck(badge_id: int) -> Done:
    """Look one badge up at Credly.  Returns what follows.  May be repeated.

    1. Leave alone a badge that Credly never had, and an organization that must not be called now.
    2. Read the badge at Credly and take over what changed.
    3. Write what Credly said into the history even when nothing did.
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
    seen = observe(client, badge, SOURCE)
    if isinstance(seen, Seen | Unsettled | Rejected) and organizations.reopen(organization):
        holdings.resume(organization)
    return _told(client, badge, seen)


def _told(client: CredlyClient, badge: Badge, seen: Seen | Unsettled | Failure) -> Done:
    """Write down what a look came to, where the change itself did not."""
    match seen:
        case Seen(is_news=True, done=done):
            return done
        case Seen(words=words, done=done):
            _note(badge, words)
            return done
        case Unsettled(reason=reason):
            return _note(badge, f"{reason} Ask again later.")
        case Unauthorized(status=status, message=message):
            if status == FORBIDDEN and isinstance(client.organization(), Confirmed):
                return _note(badge, f"Credly forbids this call: {message}")
            organizations.close(badge.template.organization, message)
            return _note(badge, organizations.reason(seen))
        case _:
            return _note(badge, organizations.reason(seen))


def _note(badge: Badge, outcome: str) -> Done:
    BadgeHistory.objects.create(badge=badge, what=SOURCE, outcome=outcome)
    return Done()
