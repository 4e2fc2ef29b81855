"""Taking over badges with what Credly holds of them.  Nothing is told to the event bus: the peer did, when it awarded."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db.models import F, Q
from django.utils import timezone

from pipeline import rules
from pipeline.ledgers import bulk
from pipeline.models import Badge, BadgeHistory, CredlyState, Learner, Standing
from pipeline.switching import cases as known
from pipeline.switching.cases import BADGE, PROGRESS, Case
from pipeline.switching.holdings import HELD, Holding, holding
from pipeline.switching.progress import Decided, Decisions, key_of
from pipeline.switching.report import Report, Section, Written
from pipeline.switching.templates import Configuration

TAKEN_OVER = "taken over"
"""The word for it in the badge's history."""

OUR_BADGE = "badge"
"""The label of a badge of ours in the report."""

UNISSUED = (CredlyState.NONE, CredlyState.ISSUING, CredlyState.FAILED)


def take_over(
    cases: Sequence[Case],
    learners: Mapping[int, Learner],
    decisions: Decisions,
    configuration: Configuration,
    report: Report,
) -> None:
    """Write the badges that are missing, and bring those up to date that nothing but an earlier run has touched.

    One that events opened here while the peer went on issuing gets the peer's id at Credly.  What else is here stays.  May
    be repeated.

    1. Find what is here.
    2. Write what the peer has changed since an earlier run, and what is missing, with its history.
    3. Say what differs, and where a badge and the rules here disagree.
    """
    here = _newest(learners, configuration)
    untouched = _untouched(here.values())
    owners = _owners([case.badge for case in cases if case.badge])
    missing: list[Badge] = []
    for case in cases:
        number, template = key_of(case, configuration)
        mine = here.get((number, template))
        decided = decisions[number, template]
        if case.badge is not None:
            target = holding(case.badge)
            owner = next((owners[name] for name in case.badge.names if name in owners), None)
            if owner not in (None, (number, template)):
                reason = "A badge here of another learner or template has its UUID or its id at Credly."
                report.say(Section.LEFT_OUT, BADGE, case.badge.pk, reason, "Look for it among the badges.")
            elif mine is None:
                missing.append(_badge(case.badge, learners[number], template, target))
                _say(case.badge, target, report)
            elif mine.pk in untouched and _follows(mine, target, decided):
                _renew(mine, case.badge, target, report)
            else:
                _compare(mine, case.badge, target, report, is_known=owner is not None)
        _weigh(case, mine, decided.fulfilled, configuration, report)
    _write(missing)
    report.written[Written.BADGES] += len(missing)


def _newest(learners: Mapping[int, Learner], configuration: Configuration) -> dict[tuple[int, int], Badge]:
    rows = Badge.objects.filter(learner__in=learners.values(), template__in=configuration.templates.values())
    return {(row.learner.lms_user_id, row.template_id): row for row in rows.select_related("learner").order_by("cycle")}


def _untouched(badges: Collection[Badge]) -> set[int]:
    """The ids of those that nothing but a take-over has ever touched: no event, no person and no answer of Credly's."""
    kinds: defaultdict[int, set[str]] = defaultdict(set)
    history = BadgeHistory.objects.filter(badge__in=badges).order_by()
    for badge, what in history.values_list("badge", "what").distinct():
        kinds[badge].add(what)
    return {badge.pk for badge in badges if kinds[badge.pk] == {TAKEN_OVER} and not (badge.claim or badge.taken_up)}


def _owners(badges: Sequence[known.Badge]) -> dict[uuid.UUID, tuple[int, int]]:
    """Whose badges here have these UUIDs or ids at Credly, by both: LMS user id and template."""
    named = Q(uuid__in=[badge.uuid for badge in badges]) | Q(
        credly_id__in=[badge.credly_id for badge in badges if badge.credly_id]
    )
    rows = Badge.objects.filter(named).values_list("uuid", "credly_id", "learner__lms_user_id", "template")
    return {name: (number, template) for *names, number, template in rows for name in names if name}


def _badge(badge: known.Badge, learner: Learner, template: int, target: Holding) -> Badge:
    now = timezone.now()
    return Badge(
        uuid=badge.uuid,
        learner=learner,
        template_id=template,
        earned_at=min(badge.created, now),
        due_at=now if target.is_due else None,
        **_columns(target),
    )


def _columns(target: Holding) -> dict[str, Any]:
    return {
        "standing": target.standing,
        "revoked_by": target.revoked_by or "",
        "credly_state": target.credly_state,
        "credly_id": target.credly_id,
    }


def _say(badge: known.Badge, target: Holding, report: Report) -> None:
    if target.reason:
        report.say(target.section, BADGE, badge.pk, target.reason, target.advice)


def _write(missing: Sequence[Badge]) -> None:
    rows = bulk.create(missing)
    # Created when the peer did: that is what "awarded at" means where no event of ours awarded it.
    Badge.objects.filter(pk__in=[row.pk for row in rows]).update(created_at=F("earned_at"))
    BadgeHistory.objects.bulk_create([_history(row) for row in rows])


def _follows(mine: Badge, target: Holding, decided: Decided) -> bool:
    """Whether a badge of an earlier run may become what the peer's is now: not against what an event has decided since."""
    return mine.standing == target.standing or not decided.by_events


def _renew(mine: Badge, badge: known.Badge, target: Holding, report: Report) -> None:
    """Make a badge that nothing but an earlier run has touched what the peer's is now."""
    changes = {"uuid": badge.uuid, **_columns(target)}
    if all(getattr(mine, column) == value for column, value in changes.items()):
        return
    earned_at = min(badge.created, timezone.now())
    due_at = timezone.now() if target.is_due else None
    unclaimed = Badge.objects.filter(pk=mine.pk, claim=None, taken_up=0, credly_state=mine.credly_state)
    if unclaimed.update(**changes, earned_at=earned_at, created_at=earned_at, due_at=due_at, attempts=0, error=""):
        if mine.standing != target.standing:
            reason = f"{target.standing} at the peer since an earlier import, and so here, too."
            report.say(Section.NOTED, BADGE, badge.pk, reason)
        mine.refresh_from_db()
        _history(mine).save()
        report.written[Written.RENEWED_BADGES] += 1
        _say(badge, target, report)


def _history(row: Badge) -> BadgeHistory:
    at_credly = f" as {row.credly_id}" if row.credly_id else ""
    outcome = f"from openedx/credentials: {row.standing}, {row.credly_state} at Credly{at_credly}"
    return BadgeHistory(badge=row, what=TAKEN_OVER, outcome=outcome)


def _compare(mine: Badge, badge: known.Badge, target: Holding, report: Report, *, is_known: bool) -> None:
    """The learner has a badge here: give it the peer's id at Credly if it lacks one; else say what differs.

    Args:
        mine: the newest here.
        badge: the peer's.
        target: what that is here.
        report: is told.
        is_known: whether one of the learner's here is the peer's already, perhaps an earlier one than `mine`.
    """
    if is_known and badge.uuid != mine.uuid:
        return
    if mine.credly_id is None and target.credly_id is not None and _adopt(mine, badge, target, report):
        return
    if mine.credly_id and target.credly_id and mine.credly_id != target.credly_id:
        reason = f"At Credly it is {target.credly_id}; the learner's badge here is {mine.credly_id}."
        report.say(Section.DIFFERS, BADGE, badge.pk, reason, "If both are live at Credly, revoke one there.")
    elif mine.standing != target.standing:
        report.say(Section.DIFFERS, BADGE, badge.pk, f"{target.standing} at the peer, {mine.standing} here.")


def _adopt(mine: Badge, badge: known.Badge, target: Holding, report: Report) -> bool:
    """Make a badge that no call was ever confirmed for the peer's.  What is revoked on either side is revoked.

    Says whether that could be done: not while a call about it is out.
    """
    if mine.standing == Standing.REVOKED and target.credly_state in HELD:
        reason = "The rules here revoked it. Credly is looked at, and the badge is revoked there unless it is already."
        target = Holding(Standing.REVOKED, CredlyState.REVOKING, target.credly_id, reason=reason)
    unissued = Badge.objects.filter(pk=mine.pk, credly_id=None, claim=None, credly_state__in=UNISSUED)
    columns = _columns(target)
    if mine.standing == Standing.REVOKED:
        del columns["revoked_by"]
    adopted = unissued.update(
        uuid=badge.uuid,
        due_at=timezone.now() if target.is_due else None,
        attempts=0,
        taken_up=0,
        error="",
        **columns,
    )
    if adopted:
        mine.refresh_from_db()
        _history(mine).save()
        report.written[Written.ADOPTED] += 1
        _say(badge, target, report)
    return bool(adopted)


def _weigh(
    case: Case, mine: Badge | None, fulfilled: Collection[int], configuration: Configuration, report: Report
) -> None:
    """Say where the badge and the rules here disagree: nothing is awarded or revoked for that."""
    complete = rules.complete(configuration.compiled[case.template], fulfilled)
    if complete and case.badge is None and mine is None:
        reason = (
            "Complete by the rules here, but the peer has no badge of it. Nothing is issued now: the next event that "
            "matches a requirement awards the badge."
        )
        report.say(Section.NOTED, PROGRESS, case.progress[0], reason)
    if not complete and case.badge is not None and mine is None and holding(case.badge).standing == Standing.AWARDED:
        reason = "Awarded at the peer, but not complete by the rules here. It stays: only a penalty takes it back."
        report.say(Section.NOTED, BADGE, case.badge.pk, reason)


def look_before_issuing(configuration: Configuration, report: Report) -> None:
    """Have Credly looked at before a badge is issued that events opened here while the peer ran.  May be repeated."""
    waiting = Badge.objects.filter(
        template__in=configuration.templates.values(),
        standing=Standing.AWARDED,
        credly_state=CredlyState.NONE,
        due_at__isnull=False,
        claim=None,
    )
    rows = list(waiting)
    waiting.filter(pk__in=[row.pk for row in rows]).update(credly_state=CredlyState.ISSUING)
    for row in rows:
        reason = (
            "Awarded by events here and not at the peer. Credly is looked at first; if it holds none, it is issued."
        )
        report.say(Section.ASKED, OUR_BADGE, str(row.uuid), reason)
    report.written[Written.LOOKED_UP] += len(rows)


def note_only_here(cases: known.Cases, configuration: Configuration, report: Report) -> None:
    """Say which badges the peer does not have."""
    own = {template.pk: pk for pk, template in configuration.templates.items()}
    at_peer = {name for name, case in cases.items() if case.badge is not None}
    rows = Badge.objects.filter(template__in=own).values_list("uuid", "learner__lms_user_id", "template", "standing")
    for name, number, template, standing in rows.iterator():
        if (number, own[template]) not in at_peer:
            report.say(Section.DIFFERS, OUR_BADGE, str(name), f"{standing} here; the peer has none.")
