"""What happens next to a badge, in words."""

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pipeline.ledgers import steps
from pipeline.ledgers.badges import BY_A_PERSON
from pipeline.ledgers.steps import Step
from pipeline.models import Badge, CredlyState, Standing
from pipeline.reports.phrases import moment

IN_WORDS = {
    Step.ISSUE: gettext_lazy("Credly is asked to issue it"),
    Step.LOOK_UP_THEN_ISSUE: gettext_lazy("Credly is looked at, and asked to issue it if it holds none"),
    Step.LOOK_UP_THEN_CANCEL: gettext_lazy(
        "an answer was lost, so Credly is looked at; what it holds is revoked, else the badge is cancelled"
    ),
    Step.REVOKE: gettext_lazy("Credly is asked to revoke it"),
    Step.LOOK_UP_THEN_REVOKE: gettext_lazy("Credly is looked at, and asked to revoke it if it still holds it"),
}
AT_REST = {
    (Standing.AWARDED, CredlyState.PENDING): gettext_lazy(
        "Nothing: Credly holds it, and the learner has not accepted it yet."
    ),
    (Standing.AWARDED, CredlyState.ACCEPTED): gettext_lazy("Nothing: Credly holds it, and the learner accepted it."),
    (Standing.AWARDED, CredlyState.REJECTED): gettext_lazy("Nothing: Credly holds it, and the learner declined it."),
    (Standing.AWARDED, CredlyState.FAILED): gettext_lazy(
        "Nothing by itself: Credly refused it. Remove the cause that the error names, then retry."
    ),
    (Standing.REVOKED, CredlyState.FAILED): gettext_lazy(
        "Nothing by itself: Credly refused. If it still holds the badge, remove the cause that the error names, then retry."
    ),
    (Standing.REVOKED, CredlyState.REVOKED): gettext_lazy("Nothing: it is revoked, at Credly too."),
    (Standing.REVOKED, CredlyState.NONE): gettext_lazy("Nothing: it was cancelled before Credly held it."),
}

SET_ASIDE = gettext_lazy(
    "Nothing by itself: it was set aside without a result. Remove the cause that the error names, then retry: Credly is "
    "looked at first."
)


def next_step(badge: Badge) -> str:
    """What happens next, when, or why nothing does."""
    if badge.due_at is not None and not steps.at_rest(badge):
        return _due(badge, steps.step(badge))
    key = Standing(badge.standing), CredlyState(badge.credly_state)
    is_set_aside = badge.credly_state == CredlyState.FAILED and badge.taken_up > 0
    text = str(SET_ASIDE if is_set_aside else AT_REST.get(key, _("Nothing.")))
    if badge.revoked_by in BY_A_PERSON:
        text = f"{text} {_('No event gives it back, unless you let the rules decide again.')}"
    return text


def _due(badge: Badge, step: Step) -> str:
    now = timezone.now()
    if badge.claimed_until and badge.claimed_until > now:
        return _("A worker is at it: {step}.").format(step=IN_WORDS[step])
    if badge.due_at and badge.due_at > now:
        return _("At {time}: {step}.").format(time=moment(badge.due_at), step=IN_WORDS[step])
    return _("As soon as a worker is free: {step}.").format(step=IN_WORDS[step])
