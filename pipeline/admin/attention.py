"""What a person should look at: rows that nothing will mend by itself, each kind with what to do and a list behind it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.core.cache import cache
from django.db.models import Model
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from pipeline.admin.filters import Learners
from pipeline.models import (
    Badge,
    Discrepancy,
    Event,
    Gap,
    Organization,
    Signal,
    Template,
    TemplateState,
    Webhook,
)

FRESH_SECONDS = 15
"""How long counted numbers are shown again before they are counted anew."""

TOO_LONG = timedelta(minutes=15)
"""Work that has been due for so long is not waiting for its turn: nobody does it."""

MANY_ATTEMPTS = 10
"""The waits between attempts double: this many failed attempts took about a quarter of an hour."""

FORGERIES_SHOWN = timedelta(days=7)
WITHDRAWALS_SHOWN = timedelta(days=30)
"""From the last time that Credly was heard about the template: a sync does not look up again what it withdrew."""

WITHDRAWN = (TemplateState.DRAFT, TemplateState.ARCHIVED)

Lookup = Mapping[str, Any]


@dataclass(frozen=True)
class Concern:
    """One kind of rows to look at."""

    model: type[Model]
    where: Lookup | Callable[[datetime], Lookup]
    """Which rows: filters of a queryset, and as they are of the admin's list; may depend on the time of now."""
    title: str | Promise
    advice: str | Promise
    urgent: bool = True
    """Whether something stands still or is wrong now, or will only some day."""
    learners: str = ""
    """Of templates: only those with such learners, as the filter `Learners` of their list has it."""


CONCERNS = (
    Concern(
        Event,
        {"status__exact": "failed"},
        _("Failed events"),
        _("Each says why. Remove the cause, then redrive them."),
    ),
    Concern(
        Event,
        lambda now: {"status__exact": "received", "received_at__lt": now - TOO_LONG},
        _("Events not evaluated for 15 minutes"),
        _("Nobody does it: see that the processes worker and beat run."),
    ),
    Concern(
        Gap,
        {"settled_at__isnull": True},
        _("Gaps of the event bus"),
        _("The bus removed messages before they were read. Have the LMS send them again, then settle the gap."),
    ),
    Concern(
        Badge,
        {"credly_state__exact": "failed", "standing__exact": "awarded"},
        _("Failed badges"),
        _("Credly refused to issue them, or our own side failed; each says why. Remove the cause, then retry them."),
    ),
    Concern(
        Badge,
        # Without a Credly id there was nothing to revoke.
        {"credly_state__exact": "failed", "standing__exact": "revoked", "credly_id__isnull": False},
        _("Failed revocations"),
        _(
            "Credly still holds these badges, though the rules or a person here revoked them. Retry them, or see Credly."
        ),
    ),
    Concern(
        Badge,
        {
            "credly_state__exact": "failed",
            "standing__exact": "revoked",
            "credly_id__isnull": True,
            "taken_up__gt": 0,
        },
        _("Revoked badges set aside"),
        _("Nobody knows whether Credly holds them. Retry them: Credly is looked at, and what it holds is revoked."),
    ),
    Concern(
        Badge,
        lambda now: {"due_at__gte": now - TOO_LONG, "attempts__gte": MANY_ATTEMPTS},
        _("Badges tried again and again"),
        _(
            "Credly does not answer them, or takes no key. They go on by themselves once it does; each says what it was."
        ),
    ),
    Concern(
        Badge,
        lambda now: {"due_at__lt": now - TOO_LONG},
        _("Badges due for 15 minutes"),
        _("Nobody calls Credly for them: see that the processes credly and beat run."),
    ),
    Concern(
        Signal,
        {"state__exact": "failed"},
        _("Failed signals"),
        _("They can't be put on the event bus; each says why. Remove the cause, then redrive them."),
    ),
    Concern(
        Signal,
        lambda now: {"due_at__lt": now - TOO_LONG},
        _("Signals due for 15 minutes"),
        _("Nobody puts them on the event bus: see that the processes worker and beat run."),
    ),
    Concern(
        Webhook,
        lambda now: {"due_at__lt": now - TOO_LONG},
        _("Webhooks due for 15 minutes"),
        _("Nobody handles them: see that the processes credly and beat run."),
    ),
    Concern(
        Organization,
        {"gate_reason__exact": "key refused"},
        _("Organizations without a working key"),
        _("Credly refuses their API key, or there is none. Their badges wait: enter a new key."),
    ),
    Concern(
        Organization,
        {"gate_reason__exact": "failing"},
        _("Organizations that Credly fails"),
        _("One call after the other went wrong. Their badges wait, and go on by themselves once Credly answers."),
    ),
    Concern(
        Organization,
        {"gate_reason__exact": "throttled"},
        _("Organizations of which Credly asked for fewer calls"),
        _("Their badges wait, and go on by themselves. If it stays, lower CREDLY_RATE_LIMIT."),
        urgent=False,
    ),
    Concern(
        Organization,
        {"sync_error__gt": ""},
        _("Organizations whose last sync failed"),
        _("Changes at Credly are not seen here. The organization's page says why."),
    ),
    Concern(
        Template,
        {"active__exact": True, "state__in": WITHDRAWN},
        _("Active templates that are not active at Credly"),
        _("Credly refuses their badges. Activate them there, or deactivate them here."),
    ),
    Concern(
        Template,
        {"active__exact": False, "state__in": WITHDRAWN},
        _("Templates that Credly withdrew"),
        _(
            "They were deactivated here, for Credly calls them archived or draft, and learners were on the way. To go on, "
            "activate them at Credly, sync, then activate them here."
        ),
        learners=Learners.ON_THE_WAY,
    ),
    Concern(
        Template,
        lambda now: {"active__exact": False, "state__in": WITHDRAWN, "synced_at__gte": now - WITHDRAWALS_SHOWN},
        _("Templates withdrawn in 30 days that learners hold"),
        _(
            "Credly calls them archived or draft, so they were deactivated here. The badges stay; nobody earns them now."
        ),
        urgent=False,
        learners=Learners.HOLDING,
    ),
    Concern(
        Template,
        {"active__exact": False, "state__exact": TemplateState.ACTIVE},
        _("Templates active at Credly, but not here"),
        _(
            "Learners are on the way, and no event counts for them. Where Credly had withdrawn a template and has it active "
            "again, activate it here too, then run the kept events through it: a button on its page."
        ),
        urgent=False,
        learners=Learners.ON_THE_WAY,
    ),
    Concern(
        Template,
        {"active__exact": True, "allows_duplicates__exact": True, "per__exact": ""},
        _("Active templates that allow duplicates"),
        _("Credly's own safety net against a second badge is off. Switch off duplicates for them at Credly."),
        urgent=False,
    ),
    Concern(
        Template,
        # Only a sync knows.
        {"active__exact": True, "allows_duplicates__exact": False, "per__gt": "", "synced_at__isnull": False},
        _("Active templates with one badge per value that Credly allows once"),
        _("A learner's second badge fails. Allow duplicates for them at Credly, sync, then retry the failed badges."),
    ),
    Concern(
        Discrepancy,
        {"repair_queued_at__isnull": True},
        _("Discrepancies to Credly"),
        _("What Credly holds differs from what is noted here. Look at each, then have it repaired."),
        urgent=False,
    ),
    Concern(
        Webhook,
        lambda now: {"state__exact": "refused", "received_at__gte": now - FORGERIES_SHOWN},
        _("Refused webhooks in 7 days"),
        _("Credly knows no such event, so somebody else sent them. Set CREDLY_WEBHOOK_SECRET to keep them out."),
        urgent=False,
    ),
)


@dataclass(frozen=True)
class Finding:
    """A concern for which there are rows now."""

    title: str | Promise
    advice: str | Promise
    number: int | None
    """How many; None where there is nothing to count."""
    url: str
    urgent: bool
    model: type[Model] | None = None
    """Whose rows these are."""


def findings() -> list[Finding]:
    """What needs attention according to the database, in the order of `CONCERNS`.

    One cheap count per concern, remembered for `FRESH_SECONDS`.
    """
    counted: list[tuple[int, str]] = cache.get_or_set("attention", _count, FRESH_SECONDS) or []
    return [
        Finding(concern.title, concern.advice, number, url, concern.urgent, concern.model)
        for concern, (number, url) in zip(CONCERNS, counted, strict=True)
        if number
    ]


def list_url(model: type[Model], where: Lookup) -> str:
    """The admin's list of a model with these filters."""
    page = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return f"{page}?{urlencode({name: _text(value) for name, value in where.items()})}" if where else page


def _count() -> list[tuple[int, str]]:
    now = timezone.now()
    wheres = [concern.where(now) if callable(concern.where) else concern.where for concern in CONCERNS]
    return [_counted(concern, where) for concern, where in zip(CONCERNS, wheres, strict=True)]


def _counted(concern: Concern, where: Lookup) -> tuple[int, str]:
    rows = concern.model._default_manager.filter(**where)
    if concern.learners:
        rows = Learners.having(rows, concern.learners)
        where = {**where, Learners.parameter_name: concern.learners}
    return rows.count(), list_url(concern.model, where)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value)
