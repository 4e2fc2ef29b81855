"""What operators do to badges: each action works on a selection of the list, or on one badge from its page."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextInputWidget

from pipeline import nudges
from pipeline.admin.operating import FROM_PAGE, Operable, tell
from pipeline.ledgers import interventions
from pipeline.ledgers.badges import BY_A_PERSON, REVOCATION_BEGUN
from pipeline.ledgers.interventions import Recheck, Release
from pipeline.models import Badge, CredlyState, RevokedBy, Standing
from pipeline.reports.cases import cases_of
from pipeline.reports.phrases import missing

MOST_AT_ONCE = 500
"""Badges of one action; its confirmation lists them all."""

CONFIRMED = "confirmed"

RETRIED = ngettext_lazy("%d badge is tried again now.", "%d badges are tried again now.")
RETRIED_LATER = ngettext_lazy(
    "%d badge is tried again within a minute: an answer of Credly was lost and may still show its effect.",
    "%d badges are tried again within a minute: answers of Credly were lost and may still show their effect.",
)
NOT_RETRIED = ngettext_lazy(
    "%d badge has nothing to try now: it is done, a worker is at it, or an answer of Credly was lost less than a minute "
    "ago and may still show its effect.",
    "%d badges have nothing to try now: they are done, a worker is at them, or an answer of Credly was lost less than a "
    "minute ago and may still show its effect.",
)
REVOKED = ngettext_lazy("%d badge is revoked.", "%d badges are revoked.")
NOT_REVOKED = ngettext_lazy("%d badge was revoked already.", "%d badges were revoked already.")
RECHECKS = {
    Recheck.LOOKS: ngettext_lazy(
        "%d badge is looked up at Credly; its history will say what Credly answers. If it says nothing within a minute, ask "
        "again.",
        "%d badges are looked up at Credly; their histories will say what Credly answers. If one says nothing within a "
        "minute, ask again.",
    ),
    Recheck.TRIES_AGAIN: ngettext_lazy(
        "%d badge has no Credly id yet, so it is tried again; if Credly holds it already, that one is taken over.",
        "%d badges have no Credly id yet, so they are tried again; what Credly holds already is taken over.",
    ),
    Recheck.NOTHING: ngettext_lazy(
        "%d badge has no Credly id, so there is nothing to look up now.",
        "%d badges have no Credly id, so there is nothing to look up now.",
    ),
}
RELEASES = {
    Release.AWARDED: ngettext_lazy(
        "%d badge is awarded again: the learner fulfills the template.",
        "%d badges are awarded again: the learners fulfill the template.",
    ),
    Release.NOT_COMPLETE: ngettext_lazy(
        "%d badge stays as it was: the learner does not fulfill the template now. Ask again once that is so.",
        "%d badges stay as they were: the learners do not fulfill the template now. Ask again once that is so.",
    ),
    Release.TEMPLATE_INACTIVE: ngettext_lazy(
        "%d badge stays as it was: its template is inactive or has no requirement, so the rules can't decide now. "
        "Ask again once it is active.",
        "%d badges stay as they were: their templates are inactive or have no requirement, so the rules can't decide now. "
        "Ask again once they are active.",
    ),
    Release.NOTHING: ngettext_lazy(
        "%d badge was left alone: no person revoked it.", "%d badges were left alone: no person revoked them."
    ),
}
NOTHING_DONE = (Recheck.NOTHING, Release.NOT_COMPLETE, Release.TEMPLATE_INACTIVE, Release.NOTHING)

TOLD_APART = 5
"""Badges of which the answer says one by one what is missing; the learners' pages say it of each."""


class ReasonForm(forms.Form):
    """Why a badge is revoked."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=255,
        help_text=_("Credly shows this to the learner. At most 255 characters."),
        widget=UnfoldAdminTextInputWidget,
    )


class BadgeActions(Operable):
    """The actions, for the admin of badges."""

    actions = ("retry_now", "revoke", "let_rules_decide", "recheck")

    @action(description=_("Retry now"), permissions=["operate"])
    def retry_now(self, request: HttpRequest, queryset: QuerySet[Badge]) -> None:
        """Try failed badges again, and those that wait for a later time at once."""
        if not self.within(request, queryset, MOST_AT_ONCE):
            return
        selected = list(queryset)
        again = [badge for badge in selected if interventions.retry(badge, request.user.get_username())]
        nudges.issue(_ids(again))
        self.done(request, again, gettext("Retried."))
        later = Badge.objects.filter(pk__in=_ids(again), due_at__gt=timezone.now()).count()
        tell(request, len(again) - later, RETRIED)
        tell(request, later, RETRIED_LATER)
        tell(request, len(selected) - len(again), NOT_RETRIED, messages.WARNING)

    @action(description=_("Revoke with reason…"), permissions=["operate"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Badge]) -> TemplateResponse | None:
        """Ask for the reason, then revoke."""
        if not self.within(request, queryset, MOST_AT_ONCE):
            return None
        selected = list(queryset)
        form = ReasonForm(request.POST if CONFIRMED in request.POST else None)
        if not form.is_valid():
            consequences = [(badge, _of_revocation(badge)) for badge in selected]
            return self._confirmation(request, "revoke", gettext("Revoke badges"), consequences, form)
        reason = form.cleaned_data["reason"]
        actor = request.user.get_username()
        revoked = [badge for badge in selected if interventions.revoke(badge, reason, actor)]
        nudges.issue(_ids(revoked))
        self.done(request, revoked, gettext("Revoked: {reason}").format(reason=reason))
        tell(request, len(revoked), REVOKED)
        tell(request, len(selected) - len(revoked), NOT_REVOKED, messages.WARNING)
        return None

    @action(description=_("Let the rules decide again…"), permissions=["operate"])
    def let_rules_decide(self, request: HttpRequest, queryset: QuerySet[Badge]) -> TemplateResponse | None:
        """Ask, then have the rules award what a person revoked, where they can."""
        if not self.within(request, queryset, MOST_AT_ONCE):
            return None
        selected = list(queryset)
        if CONFIRMED not in request.POST:
            consequences = [(badge, _of_release(badge)) for badge in selected]
            return self._confirmation(request, "let_rules_decide", gettext("Let the rules decide again"), consequences)
        actor = request.user.get_username()
        came = [(badge, interventions.release(badge, actor)) for badge in selected]
        nudges.issue([changed for _badge, released in came for changed in released.badges])
        released = [(badge, released.release) for badge, released in came]
        self._report(request, released, RELEASES, gettext("Left to the rules."))
        incomplete = [badge for badge, release in released if release is Release.NOT_COMPLETE]
        for badge in incomplete[:TOLD_APART]:
            messages.warning(request, _lacking(badge))
        return None

    @action(description=_("Re-check at Credly"), permissions=["operate"])
    def recheck(self, request: HttpRequest, queryset: QuerySet[Badge]) -> None:
        """Have what Credly holds looked up."""
        if not self.within(request, queryset, MOST_AT_ONCE):
            return
        actor = request.user.get_username()
        came = [(badge, interventions.recheck(badge, actor)) for badge in queryset]
        nudges.recheck([badge.pk for badge, recheck in came if recheck is Recheck.LOOKS])
        nudges.issue([badge.pk for badge, recheck in came if recheck is Recheck.TRIES_AGAIN])
        self._report(request, came, RECHECKS, gettext("Re-check at Credly asked for."))

    def _report(self, request: HttpRequest, came: Sequence[tuple[Badge, Any]], texts: Any, log: str) -> None:
        """Say how many badges came to which end, and log those to which something was done."""
        self.done(request, [badge for badge, kind in came if kind not in NOTHING_DONE], log)
        for kind, text in texts.items():
            level = messages.WARNING if kind in NOTHING_DONE else messages.SUCCESS
            tell(request, sum(kind is each for _badge, each in came), text, level)

    def _confirmation(
        self,
        request: HttpRequest,
        action: str,
        title: str,
        consequences: Sequence[tuple[Badge, str]],
        form: forms.Form | None = None,
    ) -> TemplateResponse:
        """A page that names what will happen to each badge, and asks."""
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "action": action,
            "form": form,
            "consequences": consequences,
            "checkbox": ACTION_CHECKBOX_NAME,
            "confirmed": CONFIRMED,
            "from_page": FROM_PAGE if FROM_PAGE in request.POST else "",
        }
        return TemplateResponse(request, "admin/pipeline/badge/confirm.html", context)


def _of_revocation(badge: Badge) -> str:
    if badge.standing == Standing.REVOKED:
        return gettext("Nothing: it is revoked already.")
    if badge.credly_state == CredlyState.NONE or (badge.credly_state == CredlyState.FAILED and not badge.credly_id):
        return gettext("It is cancelled: Credly never held it, and the learner hears nothing.")
    return gettext("Credly revokes it, tells the learner the reason, and badge.revoked goes to the event bus.")


def _of_release(badge: Badge) -> str:
    if badge.standing != Standing.REVOKED or badge.revoked_by not in BY_A_PERSON:
        return gettext("Nothing: no person revoked it.")
    if badge.credly_state in REVOCATION_BEGUN or badge.revoked_by == RevokedBy.CREDLY:
        return gettext("If the learner fulfills the template now, Credly issues a new badge. Else nothing changes.")
    return gettext("If the learner fulfills the template now, the badge stays with them. Else nothing changes.")


def _lacking(badge: Badge) -> str:
    """What keeps the rules from awarding the badge."""
    mine = (badge.template_id, badge.value)
    case = next(case for case in cases_of(badge.learner) if (case.template.pk, case.value) == mine)
    return f"{badge.template}, {badge.learner}: {missing(case)}."


def _ids(badges: Sequence[Badge]) -> list[int]:
    return [badge.pk for badge in badges]
