"""What a learner's page shows beside the learner's own columns: explanations, then the tables of facts behind them."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _

from pipeline.bus.descriptions import describe
from pipeline.models import Badge, BadgeHistory, Event, Fulfillment, Learner, Requirement, Signal, Template
from pipeline.reports.cases import Case, cases_of
from pipeline.reports.clauses import needs
from pipeline.reports.comparisons import matched_rules
from pipeline.reports.event_facts import compared_paths, compared_values, remark
from pipeline.reports.explanation import Explanation, Verdict, explain
from pipeline.reports.learner import EVENTS_SHOWN, newest_events
from pipeline.reports.phrases import moment, tally, waits

Cell = Any
Table = dict[str, Sequence[Sequence[Cell]] | Sequence[str]]

UNFOLDED = 3
"""Up to so many templates are shown with their facts unfolded; of more, only those that the reader opens."""

VARIANTS = {
    Verdict.HOLDS: "success",
    Verdict.WAITING: "info",
    Verdict.FAILED: "danger",
    Verdict.LOST: "warning",
    Verdict.MISSING: "default",
}


@dataclass(frozen=True)
class BadgeFacts:
    """A badge, and its history as a table."""

    badge: Badge
    history: Table


@dataclass(frozen=True)
class Section:
    """What is shown of one template: the answer, its color, and the facts as tables."""

    template: Template
    value: str
    explanation: Explanation
    variant: str
    event_is_stored: bool
    badge: Badge | None
    progress: Table
    badges: Sequence[BadgeFacts]
    signals: Table


def context(learner: Learner) -> dict[str, Any]:
    """The variables of the page.  The same number of queries however many templates the learner has."""
    cases = cases_of(learner)
    events = newest_events(learner)
    stored = _stored(cases, events)
    return {
        "sections": [_section(case, stored) for case in cases],
        "unfolded": len(cases) <= UNFOLDED,
        "not_begun": _not_begun(cases),
        "events": _events(events[:EVENTS_SHOWN]),
        "more_events": len(events) > EVENTS_SHOWN,
        "events_shown": EVENTS_SHOWN,
    }


def progress_table(case: Case) -> Table:
    """What decided each requirement of one case.  One query."""
    return _progress(case, _stored([case], []))


def _not_begun(cases: Sequence[Case]) -> list[Template]:
    begun = [case.template.pk for case in cases]
    return list(Template.objects.filter(active=True).exclude(pk__in=begun).only("name"))


def _stored(cases: Sequence[Case], events: Sequence[Event]) -> set[uuid.UUID]:
    """Those of the named events that the inbox still holds; the others were purged."""
    named = {row.event for case in cases for row in case.decided.values()}
    named |= {row.event for case in cases for badge in case.badges for row in badge.history.all() if row.event}
    shown = {event.pk for event in events}
    return shown | set(Event.objects.filter(pk__in=named - shown).values_list("pk", flat=True))


def _section(case: Case, stored: Collection[uuid.UUID]) -> Section:
    explanation = explain(case)
    return Section(
        template=case.template,
        value=case.value,
        explanation=explanation,
        variant=VARIANTS[explanation.verdict],
        event_is_stored=explanation.event in stored,
        badge=case.badge,
        progress=_progress(case, stored),
        badges=[BadgeFacts(badge, _history(badge, stored)) for badge in case.badges],
        signals=_signals([signal for badge in case.badges for signal in badge.signals.all()]),
    )


def _progress(case: Case, stored: Collection[uuid.UUID]) -> Table:
    return {
        "headers": [_("Requirement"), _("Group"), _("State"), _("Decided by"), _("Rules that matched")],
        "rows": [_requirement(case, row, stored) for row in case.requirements],
    }


def _requirement(case: Case, requirement: Requirement, stored: Collection[uuid.UUID]) -> Sequence[Cell]:
    name = _two_lines(requirement.slug, requirement.description)
    decided = case.decided.get(requirement.pk)
    state = _state(requirement, decided)
    facts = [tally(case, requirement), waits(case, requirement)]
    if not (decided and decided.fulfilled):
        facts.append(_("needs {rules}").format(rules=needs(requirement)))
    shown = format_html("{}{}", state, _small_lines(facts))
    if decided is None:
        return [name, requirement.group or "-", shown, "-", "-"]
    decision = _two_lines(moment(decided.time), _event_link(decided.event, stored))
    return [name, requirement.group or "-", shown, decision, _matched(decided.matched)]


def _state(requirement: Requirement, decided: Fulfillment | None) -> str:
    if decided is None:
        return _("not yet")
    if decided.fulfilled:
        return _("fulfilled")
    return _("taken back") if requirement.count == 1 else _("not fulfilled")


def _matched(matched: dict[str, Any]) -> Cell:
    text = matched_rules(matched)
    return _two_lines(_("penalty {name}").format(name=matched["penalty"]), text) if "penalty" in matched else text


def _history(badge: Badge, stored: Collection[uuid.UUID]) -> Table:
    return {
        "headers": [_("When"), _("What"), _("Outcome"), _("Cause")],
        "rows": [[moment(row.at), row.what, row.outcome or "-", _cause(row, stored)] for row in badge.history.all()],
    }


def _cause(row: BadgeHistory, stored: Collection[uuid.UUID]) -> Cell:
    if row.actor:
        return _("operator {name}").format(name=row.actor)
    return _event_link(row.event, stored) if row.event else "-"


def _signals(signals: Sequence[Signal]) -> Table:
    return {
        "headers": [_("Signal"), _("State"), _("Created"), _("Sent")],
        "rows": [
            [
                _two_lines(signal.event_type, _link("signal", signal.pk, signal.uuid)),
                _two_lines(signal.get_state_display(), signal.error),
                moment(signal.created_at),
                moment(signal.sent_at) if signal.sent_at else "-",
            ]
            for signal in signals
        ],
    }


def _events(events: Sequence[Event]) -> Table:
    paths = compared_paths()
    return {
        "headers": [_("Time"), _("Event"), _("Values"), _("Status"), _("Remark")],
        "rows": [
            [
                moment(event.time),
                _two_lines(describe(event.type).title, _link("event", event.pk, event.pk)),
                _values(compared_values(event, paths)),
                event.get_status_display(),
                remark(event) or "-",
            ]
            for event in events
        ],
    }


def _values(values: Mapping[str, str]) -> Cell:
    lines = [(f"{path} = {value}",) for path, value in values.items()]
    return format_html_join("", '<span class="block">{}</span>', lines) or "-"


def _event_link(event: uuid.UUID, stored: Collection[uuid.UUID]) -> Cell:
    return _link("event", event, event) if event in stored else _("{event} (purged)").format(event=event)


def _link(model: str, pk: object, text: object) -> Cell:
    return format_html(
        '<a href="{}" class="text-link">{}</a>', reverse(f"admin:pipeline_{model}_change", args=[pk]), text
    )


def _small_lines(texts: Sequence[str]) -> Cell:
    return format_html_join("", '<span class="block text-xs">{}</span>', ((text,) for text in texts if text))


def _two_lines(first: Cell, second: Cell) -> Cell:
    return format_html('{}<span class="block text-xs">{}</span>', first, second) if second else first
