"""recheck: look up what Credly holds of a badge, and take it over."""

from datetime import timedelta

from django.db.models import Exists, F, OuterRef
from django.utils import timezone

from pipeline.configuration import gate, organizations, pace
from pipeline.credly.client import CredlyClient
from pipeline.credly.outcomes import Confirmed, Failure, Rejected, Throttled, Unauthorized, Unavailable, Unknown
from pipeline.ledgers import observations
from pipeline.ledgers.holdings import Done
from pipeline.models import Badge, BadgeHistory, Discrepancy, DiscrepancyKind
from pipeline.stages.answers import answered, unanswered
from pipeline.stages.compare import DELETED
from pipeline.stages.observe import SHOWN_WITHIN, Seen, Unsettled, observe

SOURCE = "re-check"
"""The word for it in the badge's history."""

IN_VAIN = "re-check in vain"
"""The word for one that Credly was not asked for, or did not answer."""

LONGEST_WAIT = 10.0
"""Seconds that a re-check waits for its turn among the organization's calls: nobody comes back for it."""

FIRST_LOOK_COUNTS = timedelta(days=1)
"""How long a look in vain makes the next one the second."""

LOOKED_UP_WITHIN = timedelta(minutes=10)
"""A re-check that a repair queued and that Credly has not answered after this is queued again; thousands may wait so long."""

FORBIDDEN = 403
_NOT_SHOWN = f"{observations.NOT_SHOWN} Ask again later."


def recheck(badge_id: int) -> Done:
    """Look one badge up at Credly.  Returns what follows.  May be repeated.

    1. Leave alone a badge that Credly never had, and an organization that must not be called now.
    2. Read the badge at Credly and take over what changed.
    3. Write what Credly said, or why it said nothing, into the history even when nothing did.
    """
    badge = Badge.objects.select_related("learner", "template__organization").filter(pk=badge_id).first()
    if badge is None or badge.credly_id is None:
        return Done()
    organization = badge.template.organization
    if gate.closed_until(organization):
        return _not_asked(badge, gate.words(organization))
    try:
        client = organizations.client(organization)
    except organizations.KeyMissing as missing:
        gate.refused(organization, str(missing))
        return _not_asked(badge, str(missing))
    if not pace.wait(organization, LONGEST_WAIT):
        gate.pass_on(organization)
        return _not_asked(badge, "too many other calls are to be made. Ask again later.")
    seen = observe(client, badge, SOURCE, is_absence_certain=_was_absent(badge) or _was_deleted(badge))
    if isinstance(seen, Seen | Unsettled | Rejected):
        answered(organization)
    elif isinstance(seen, Throttled | Unavailable | Unknown):
        unanswered(organization, seen)
    return _told(client, badge, seen)


def lost_rechecks(limit: int) -> list[int]:
    """Badges whose re-check, queued by a repair, brought no answer of Credly's within `LOOKED_UP_WITHIN`; at most `limit`.

    Its message may be lost, or Credly was not asked, or did not answer.  Each is named again after as long.

    Those that an operator asks for alone are not among them: who looks for the result sees that there is none.
    """
    now = timezone.now()
    answers = BadgeHistory.objects.filter(what=SOURCE, actor="")  # with an actor: asked for, and perhaps not made
    made = answers.filter(badge=OuterRef("badge"), at__gte=OuterRef("repair_queued_at"))
    rows = Discrepancy.objects.filter(
        ~Exists(made),
        kind=DiscrepancyKind.DIFFERENT,
        badge__credly_id=F("credly_id"),
        repair_queued_at__lte=now - LOOKED_UP_WITHIN,
    )
    named = dict(rows.values_list("pk", "badge")[:limit])
    Discrepancy.objects.filter(pk__in=named).update(repair_queued_at=now)
    return list(named.values())


def _was_absent(badge: Badge) -> bool:
    """Whether Credly did not show it at a look at least `SHOWN_WITHIN` ago, and nothing else became known of it since."""
    known = BadgeHistory.objects.filter(badge=badge, actor="").exclude(what=IN_VAIN)
    not_shown = known.filter(what=SOURCE, outcome=_NOT_SHOWN)
    last_else = known.exclude(pk__in=not_shown).order_by("-pk").values_list("pk", flat=True).first() or 0
    now = timezone.now()
    return not_shown.filter(pk__gt=last_else, at__range=(now - FIRST_LOOK_COUNTS, now - SHOWN_WITHIN)).exists()


def _was_deleted(badge: Badge) -> bool:
    """Whether the last reconciliation missed it at Credly and read in Credly's event feed that it was deleted."""
    return Discrepancy.objects.filter(badge=badge, credly_id=badge.credly_id, detail__startswith=DELETED).exists()


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
                answered(badge.template.organization)
                return _note(badge, f"Credly forbids this call: {message}")
            gate.refused(badge.template.organization, message)
            return _note(badge, organizations.reason(seen), IN_VAIN)
        case Throttled() | Unavailable() | Unknown():
            return _note(badge, organizations.reason(seen), IN_VAIN)
        case _:
            return _note(badge, organizations.reason(seen))


def _not_asked(badge: Badge, why: str) -> Done:
    """Write down why no call was made, but not time after time: a gate may stay closed for days."""
    outcome = f"Credly was not asked: {why}"
    last = badge.history.last()
    is_known = last is not None and (last.what, last.outcome) == (IN_VAIN, outcome)
    return Done() if is_known else _note(badge, outcome, IN_VAIN)


def _note(badge: Badge, outcome: str, what: str = SOURCE) -> Done:
    BadgeHistory.objects.create(badge=badge, what=what, outcome=outcome)
    return Done()
