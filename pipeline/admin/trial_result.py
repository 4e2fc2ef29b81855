"""What the page "Try it" shows of a trial."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _

from pipeline.admin.links import link
from pipeline.bus.descriptions import describe
from pipeline.models import Event, Learner
from pipeline.reports.comparisons import SIGNS
from pipeline.reports.phrases import moment
from pipeline.reports.trial_outcome import LearnerTrial, PenaltyTrial, RequirementTrial, RuleTrial, Step, Trial, Verdict

VARIANTS = {
    Verdict.AWARDED: "success",
    Verdict.AWARDED_AGAIN: "success",
    Verdict.RESTORED: "success",
    Verdict.REVOKED: "warning",
    Verdict.REFUSED: "error",
}

BREAK = mark_safe("<br>")

Table = dict[str, Sequence[Any]]


@dataclass(frozen=True)
class ShownCondition:
    """A requirement or penalty: whether it is met, in words, and its rules as a table."""

    trial: RequirementTrial | PenaltyTrial
    happens: bool
    outcome: str
    unfit: Sequence[str]
    note: str
    without_rules: str
    event_type: str
    rules: Table


def shown(trial: Trial) -> dict[str, Any]:
    """The variables of the page about a trial."""
    return {
        "trial": trial,
        "variant": VARIANTS.get(trial.if_active or trial.verdict, "info"),
        "event_type": describe(trial.event_type).title,
        "moment": moment(trial.time),
        "requirements": [_requirement(each) for each in trial.requirements],
        "penalties": [_penalty(each) for each in trial.penalties],
        "learner": _learner_link(trial.learner) if trial.learner else "",
        "progress": _progress(trial.learner) if trial.learner else None,
    }


def events_table(events: Iterable[Event], address: str) -> Table:
    """Stored events, each with a link that tries it."""
    return {
        "headers": [_("Time"), _("Event"), _("LMS user id"), _("Status"), _("Action")],
        "rows": [
            [
                moment(event.time),
                describe(event.type).title,
                event.lms_user_id or "-",
                event.get_status_display(),
                format_html('<a class="text-link" href="{}?event={}">{}</a>', address, event.pk, _("Try this event")),
            ]
            for event in events
        ],
    }


def _requirement(trial: RequirementTrial) -> ShownCondition:
    return ShownCondition(
        trial=trial,
        happens=trial.met,
        outcome=_("met") if trial.met else _("not met"),
        unfit=trial.unfit,
        note=_("Group %(letter)s") % {"letter": trial.group} if trial.group else _("Needed by itself"),
        without_rules=_("It has no rules: every event of its type meets it."),
        event_type=describe(trial.event_type).title,
        rules=_rules(trial.rules),
    )


def _penalty(trial: PenaltyTrial) -> ShownCondition:
    return ShownCondition(
        trial=trial,
        happens=trial.strikes,
        outcome=_("takes back") if trial.strikes else _("takes nothing back"),
        unfit=(),
        note=_("Takes back %(requirements)s") % {"requirements": ", ".join(trial.requirements) or _("nothing")},
        without_rules=_("It has no rules, so it never takes anything back."),
        event_type=describe(trial.event_type).title,
        rules=_rules(trial.rules),
    )


def _rules(rules: Iterable[RuleTrial]) -> Table:
    """The value found is JSON, so that the text "true" differs from the boolean."""
    return {
        "headers": [_("Key path"), _("Operator"), _("Expected"), _("Found"), _("Result")],
        "rows": [
            [
                rule.path,
                SIGNS.get(rule.operator, rule.operator),
                format_html_join(BREAK, "{}", ((line,) for line in rule.expected.splitlines())),
                _("missing or null") if rule.found is None else json.dumps(rule.found, ensure_ascii=False),
                _("✓ matches") if rule.matched else _("✗ does not match"),
            ]
            for rule in rules
        ],
    }


def _learner_link(learner: LearnerTrial) -> str:
    number = _("LMS user id %(number)s") % {"number": learner.lms_user_id}
    return link(Learner, learner.record, number) if learner.record else number


def _progress(learner: LearnerTrial) -> Table:
    return {
        "headers": [_("Requirement"), _("Today"), _("What the event does")],
        "rows": [[step.requirement, _today(step), step.words] for step in learner.steps],
    }


def _today(step: Step) -> str:
    """What decides the requirement; of one that takes several events, one that takes back may leave others that count."""
    decision = step.before
    if decision is None:
        may_be_met = step.count or step.first
        return _("not fulfilled") if may_be_met else _("not fulfilled: no event has met it")
    time = link(Event, decision.event, moment(decision.time))
    if decision.fulfilled:
        words = _("fulfilled by the event of {time}")
    elif step.count:
        words = _("not fulfilled: the event of {time} last took something back")
    else:
        words = _("taken back by the event of {time}")
    return format_html(words, time=time)
