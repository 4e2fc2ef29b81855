"""One learner: progress, badges and the events that led there, as plain data for `badge_status`."""

from datetime import datetime
from typing import Any

from pipeline import rules
from pipeline.models import Badge, Event, Learner, Requirement
from pipeline.reports.cases import Case, cases_of
from pipeline.reports.clauses import needs
from pipeline.reports.event_facts import Paths, compared_paths, compared_values, remark
from pipeline.reports.explanation import explain
from pipeline.reports.phrases import waits

EVENTS_SHOWN = 25
"""The newest events of a learner that are shown; the inbox shows the others."""


def learner_status(learner: Learner) -> dict[str, Any]:
    """All about the learner; the contract's section 4 names the keys."""
    cases, paths = cases_of(learner), compared_paths()
    return {
        "lms_user_id": learner.lms_user_id,
        "username": learner.username,
        "explanation": [_explanation(case) for case in cases],
        "badges": [_badge(case, badge) for case in cases for badge in case.badges],
        "progress": [_progress(case) for case in cases],
        "events": [_event(event, paths) for event in newest_events(learner)[:EVENTS_SHOWN]],
    }


def newest_events(learner: Learner) -> list[Event]:
    """The learner's newest events, newest first: one more than are shown, if there are more."""
    events = Event.objects.filter(lms_user_id=learner.lms_user_id).order_by("-time", "-id")
    return list(events.defer("raw")[: EVENTS_SHOWN + 1])


def _explanation(case: Case) -> dict[str, Any]:
    explanation = explain(case)
    return {
        "template": str(case.template.uuid),
        "name": case.template.name,
        "for": case.value,
        "verdict": explanation.verdict.value,
        "text": explanation.text,
    }


def _badge(case: Case, badge: Badge) -> dict[str, Any]:
    return {
        "template": str(case.template.uuid),
        "name": case.template.name,
        "for": case.value,
        "uuid": str(badge.uuid),
        "cycle": badge.cycle,
        "standing": badge.standing,
        "earned_at": badge.earned_at.isoformat(),
        "credly": {
            "state": badge.credly_state,
            "id": _text(badge.credly_id),
            "error": badge.error or None,
            "next_try": _time(badge.due_at),
        },
        "history": [
            {
                "at": entry.at.isoformat(),
                "what": entry.what,
                "outcome": entry.outcome,
                "event": _text(entry.event),
                "actor": entry.actor or None,
            }
            for entry in badge.history.all()
        ],
        "signals": [
            {
                "type": signal.event_type,
                "id": str(signal.uuid),
                "state": signal.state,
                "sent_at": _time(signal.sent_at),
            }
            for signal in badge.signals.all()
        ],
    }


def _progress(case: Case) -> dict[str, Any]:
    """Completeness is that of the template as it is configured now."""
    return {
        "template": str(case.template.uuid),
        "name": case.template.name,
        "for": case.value,
        "complete": case.complete,
        "requirements": [_requirement(case, row) for row in case.requirements],
    }


def _requirement(case: Case, requirement: Requirement) -> dict[str, Any]:
    decided = case.decided.get(requirement.pk)
    return {
        "id": requirement.slug,
        "group": requirement.group or None,
        "needs": needs(requirement),
        "fulfilled": decided is not None and decided.fulfilled,
        "event": str(decided.event) if decided else None,
        "time": decided.time.isoformat() if decided else None,
        "matched": decided.matched if decided else None,
        "count": _count(requirement, case.tallies[requirement.pk]) if requirement.pk in case.tallies else None,
        "waits": waits(case, requirement) or None,
    }


def _count(requirement: Requirement, tally: rules.Tally) -> dict[str, Any]:
    """How far it is: `matches` are the events that count now, of which `reached` are different and lie close enough."""
    return {
        "needed": requirement.count,
        "reached": tally.reached,
        "matches": [
            {"event": str(each.event), "time": each.time.isoformat(), "value": each.value} for each in tally.matches
        ],
    }


def _event(event: Event, paths: Paths) -> dict[str, Any]:
    return {
        "id": str(event.id),
        "type": event.type,
        "time": event.time.isoformat(),
        "status": event.status,
        "values": compared_values(event, paths),
        "remark": remark(event) or None,
        "error": event.error or None,
    }


def _text(value: object) -> str | None:
    return str(value) if value else None


def _time(time: datetime | None) -> str | None:
    return time.isoformat() if time else None
