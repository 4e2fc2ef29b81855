"""All that is held about one person, to be handed to them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pipeline.ledgers import mentions
from pipeline.ledgers.pseudonyms import is_user, people
from pipeline.models import Badge, Event, Fulfillment, Learner, Occurrence, Progress, Signal

_BELOW_PROGRESS = ("fulfillments__requirement", "occurrences__requirement")


def learner_export(lms_user_id: int) -> dict[str, Any]:
    """All data held about one person, as plain data: learner, progress, badges, signals and events.

    Of events about somebody else only the person's own part is there.  Nothing tells about other people: neither other
    learners nor the staff who worked on a badge.  `learner` is None for somebody who is known from events only.
    """
    learner = Learner.objects.filter(lms_user_id=lms_user_id).first()
    progress = Progress.objects.filter(learner=learner).select_related("template").order_by("pk")
    badges = Badge.objects.filter(learner=learner).select_related("template").order_by("pk")
    events = mentions.naming(lms_user_id).order_by("time", "pk")
    return {
        "learner": _learner(learner) if learner else None,
        "progress": [_progress(row) for row in progress.prefetch_related(*_BELOW_PROGRESS)],
        "badges": [_badge(row) for row in badges.prefetch_related("history")],
        "signals": [_signal(row) for row in Signal.objects.filter(badge__learner=learner).order_by("pk")],
        "events": [_event(row, lms_user_id) for row in events.defer("raw")],
    }


def _learner(learner: Learner) -> dict[str, Any]:
    return {
        "lms_user_id": learner.lms_user_id,
        "username": learner.username,
        "email": learner.email,
        "name": learner.name,
        "active": learner.active,
        "as_of": _time(learner.as_of),
        "retired_at": _time(learner.retired_at),
    }


def _progress(progress: Progress) -> dict[str, Any]:
    return {
        "template": str(progress.template.uuid),
        "name": progress.template.name,
        "for": progress.value,
        "fulfillments": [_fulfillment(row) for row in progress.fulfillments.all()],
        "occurrences": [_occurrence(row) for row in progress.occurrences.all()],
    }


def _fulfillment(row: Fulfillment) -> dict[str, Any]:
    return {
        "requirement": row.requirement.slug,
        "fulfilled": row.fulfilled,
        "event": str(row.event),
        "time": _time(row.time),
        "matched": row.matched,
    }


def _occurrence(row: Occurrence) -> dict[str, Any]:
    return {
        "requirement": row.requirement.slug,
        "fulfills": row.fulfills,
        "value": row.value,
        "event": str(row.event),
        "time": _time(row.time),
    }


def _badge(badge: Badge) -> dict[str, Any]:
    return {
        "uuid": str(badge.uuid),
        "template": str(badge.template.uuid),
        "name": badge.template.name,
        "for": badge.value,
        "cycle": badge.cycle,
        "standing": badge.standing,
        "revoked_by": badge.revoked_by,
        "revocation_reason": badge.revocation_reason,
        "credly_state": badge.credly_state,
        "credly_id": str(badge.credly_id) if badge.credly_id else None,
        "error": badge.error,
        "earned_at": _time(badge.earned_at),
        "created_at": _time(badge.created_at),
        "history": [
            {
                "at": _time(entry.at),
                "what": entry.what,
                "outcome": entry.outcome,
                "event": str(entry.event) if entry.event else None,
            }
            for entry in badge.history.all()
        ],
    }


def _signal(signal: Signal) -> dict[str, Any]:
    return {
        "id": str(signal.uuid),
        "type": signal.event_type,
        "state": signal.state,
        "created_at": _time(signal.created_at),
        "sent_at": _time(signal.sent_at),
        "payload": signal.payload,
    }


def _event(event: Event, lms_user_id: int) -> dict[str, Any]:
    theirs = [user for user in people(event.payload) if user["id"] == lms_user_id]
    is_about_them = event.lms_user_id in (lms_user_id, None)
    return {
        "id": str(event.id),
        "type": event.type,
        "time": _time(event.time),
        "source": event.source,
        "received_at": _time(event.received_at),
        "status": event.status,
        "error": event.error if is_about_them else "",
        "payload": _without_others(event.payload, lms_user_id, theirs) if is_about_them else theirs,
    }


def _without_others(part: Any, lms_user_id: int, theirs: list[Mapping[str, Any]]) -> Any:
    """A payload without the names and addresses of others: of who asked for it, of a course's coach."""
    if isinstance(part, list):
        return [_without_others(item, lms_user_id, theirs) for item in part]
    if not isinstance(part, Mapping):
        return part
    if is_user(part):
        return part if part["id"] == lms_user_id else {name: item for name, item in part.items() if name != "pii"}
    addresses = {user["pii"].get("email") for user in theirs}
    return {
        name: _without_others(item, lms_user_id, theirs)
        for name, item in part.items()
        if not name.endswith("email") or item in addresses
    }


def _time(time: datetime | None) -> str | None:
    return time.isoformat() if time else None
