"""One learner: progress, badges and the events that led there, for `badge_status`."""

from typing import Any

from pipeline import rules
from pipeline.models import Badge, Fulfillment, Learner, Progress


class UnknownLearner(LookupError):
    """No event about that learner ever met a requirement."""


def learner_status(username: str) -> dict[str, Any]:
    """The learner of that name; the contract's section 4 names the keys.

    Usernames of an LMS are unique, but one may pass to another person: then the one of the newest event is meant.

    Raises:
        UnknownLearner: there is none.
    """
    learner = Learner.objects.filter(username=username).order_by("-as_of").first()
    if learner is None:
        raise UnknownLearner(
            f"No learner {username!r}: no event about them has met a requirement or penalty of an active template yet."
        )
    badges = learner.badges.select_related("template").prefetch_related("history", "signals").order_by("pk")
    progress = learner.progress.select_related("template").prefetch_related(
        "template__requirements", "fulfillments__requirement"
    )
    return {
        "username": learner.username,
        "badges": [_badge(badge) for badge in badges],
        "progress": [_progress(row) for row in progress.order_by("pk")],
    }


def _badge(badge: Badge) -> dict[str, Any]:
    return {
        "template": str(badge.template.uuid),
        "name": badge.template.name,
        "uuid": str(badge.uuid),
        "cycle": badge.cycle,
        "standing": badge.standing,
        "earned_at": badge.earned_at.isoformat(),
        "credly": {
            "state": badge.credly_state,
            "id": str(badge.credly_id) if badge.credly_id else None,
            "error": badge.error or None,
            "next_try": badge.due_at.isoformat() if badge.due_at else None,
        },
        "history": [
            {
                "at": entry.at.isoformat(),
                "what": entry.what,
                "outcome": entry.outcome,
                "event": str(entry.event) if entry.event else None,
            }
            for entry in badge.history.all()
        ],
        "signals": [
            {"type": signal.event_type, "id": str(signal.uuid), "state": signal.state} for signal in badge.signals.all()
        ],
    }


def _progress(progress: Progress) -> dict[str, Any]:
    """Completeness is that of the template as it is configured now."""
    decided = {row.requirement_id: row for row in progress.fulfillments.all()}
    requirements = list(progress.template.requirements.all())
    template = rules.Template(
        id=progress.template_id,
        requirements=tuple(
            rules.Requirement(item.pk, progress.template_id, item.event_type, item.group or None, ())
            for item in requirements
        ),
        penalties=(),
        reaward=progress.template.reaward,
    )
    fulfilled = [requirement for requirement, row in decided.items() if row.fulfilled]
    return {
        "template": str(progress.template.uuid),
        "name": progress.template.name,
        "complete": rules.complete(template, fulfilled),
        "requirements": [_requirement(item.slug, item.group, decided.get(item.pk)) for item in requirements],
    }


def _requirement(slug: str, group: str, row: Fulfillment | None) -> dict[str, Any]:
    return {
        "id": slug,
        "group": group or None,
        "fulfilled": row is not None and row.fulfilled,
        "event": str(row.event) if row else None,
        "time": row.time.isoformat() if row else None,
        "matched": row.matched if row else None,
    }
