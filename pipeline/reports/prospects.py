"""Who would gain or lose a badge by a backfill: what it would do, without doing it."""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from pipeline import rules
from pipeline.bus import catalogue
from pipeline.ledgers import kept, occurrences
from pipeline.ledgers.badges import BY_A_PERSON, REVOCATION_BEGUN
from pipeline.ledgers.kept import Met, Span
from pipeline.ledgers.progress import known
from pipeline.models import Badge, CredlyState, Progress, RevokedBy, Standing

AT_ONCE = 1000
"""Events that are read at once, and so about what is in memory."""


class Prospect(NamedTuple):
    """A learner whose badge would change; `value` is that of the template's `per`, empty without one."""

    lms_user_id: int
    username: str
    value: str
    gains: bool


class Look(NamedTuple):
    """What some more events told: so many of them, and whose badge they would change."""

    events: int
    prospects: list[Prospect]


class Totals(NamedTuple):
    """How many would gain and lose the badge, by so many kept events, and whether these are all."""

    gains: int
    losses: int
    events: int
    complete: bool


@dataclass
class _Badge:
    standing: str = Standing.AWARDED
    revoked_by: str = ""
    credly_state: str = CredlyState.NONE
    is_at_credly: bool = False

    @property
    def is_awarded(self) -> bool:
        return self.standing == Standing.AWARDED


@dataclass
class _Case:
    """All that is known of a learner and one of their badges."""

    progress: rules.Progress = field(default_factory=rules.Progress)
    badge: _Badge | None = None

    @property
    def is_held(self) -> bool:
        return self.badge is not None and self.badge.is_awarded


def prospects(template: rules.Template, span: Span) -> Iterator[Look]:
    """Look at the kept events, learner by learner, and tell whose badge a backfill would change.  Reads only.

    It says what `stages.backfill` does, as far as one learner's events run at once: what somebody changes meanwhile it can't
    know, nor what these badges do to templates that ask for them.
    """
    ruleset = rules.Ruleset([template])
    after = 0
    while events := kept.of_learners(span, after, AT_ONCE):
        after = events[-1].lms_user_id
        yield Look(len(events), list(_of_learners(template, kept.meeting(ruleset, events))))


def totals(template: rules.Template, span: Span, seconds: float) -> Totals:
    """How many badges a backfill would change.  Reads only, and begins no further look once so many seconds are over."""
    until = time.monotonic() + seconds
    gains, losses, events = 0, 0, 0
    for look in prospects(template, span):
        gains += sum(each.gains for each in look.prospects)
        losses += sum(not each.gains for each in look.prospects)
        events += look.events
        if time.monotonic() > until:
            return Totals(gains, losses, events, complete=False)
    return Totals(gains, losses, events, complete=True)


def _of_learners(template: rules.Template, met: Sequence[Met]) -> Iterator[Prospect]:
    cases = _cases(template, {each.event.lms_user_id for each in met})
    for lms_user_id, of_learner in groupby(met, key=lambda each: each.event.lms_user_id):
        values: dict[str, bool] = {}
        newest = None
        for newest in of_learner:
            [match] = newest.matches
            case = cases[lms_user_id, match.value]
            values.setdefault(match.value, case.is_held)
            _take_part(case, newest, match)
        for value, was_held in values.items():
            if newest and was_held != cases[lms_user_id, value].is_held:
                yield Prospect(lms_user_id, _username(newest), value, gains=not was_held)


def _username(met: Met) -> str:
    user = catalogue.user_of(met.event.type, met.payload)
    return user["pii"]["username"] if user else ""


def _cases(template: rules.Template, learners: set[int]) -> defaultdict[tuple[int, str], _Case]:
    """What is stored of these learners, by LMS user id and value."""
    cases: defaultdict[tuple[int, str], _Case] = defaultdict(_Case)
    stored = Progress.objects.filter(template=template.id, learner__lms_user_id__in=learners)
    rows = list(stored.select_related("learner").prefetch_related("fulfillments"))
    noted = occurrences.of(dict.fromkeys((row.pk for row in rows), template)) if template.counted else {}
    for row in rows:
        cases[row.learner.lms_user_id, row.value].progress = known(row.fulfillments.all(), noted.get(row.pk, {}))
    badges = Badge.objects.filter(template=template.id, learner__lms_user_id__in=learners).order_by("cycle")
    for learner, value, standing, revoked_by, credly_state, credly_id in badges.values_list(
        "learner__lms_user_id", "value", "standing", "revoked_by", "credly_state", "credly_id"
    ):
        cases[learner, value].badge = _Badge(standing, revoked_by, credly_state, credly_id is not None)
    return cases


def _take_part(case: _Case, met: Met, match: rules.Match) -> None:
    """What `ledgers.progress.record` and then `ledgers.badges.follow` do with an event."""
    before, event = case.progress, met.event
    case.progress = after = before.after(match, met.payload, event.time, event.id)
    if rules.complete(match.template, after.fulfilled):
        _award(case, is_news=bool(before.changed(after)), reaward=match.template.reaward)
    elif before.is_reset(after) and case.badge is not None and case.badge.is_awarded:
        case.badge.standing, case.badge.revoked_by = Standing.REVOKED, RevokedBy.RULES


def _award(case: _Case, *, is_news: bool, reaward: bool) -> None:
    badge = case.badge
    if badge is None:
        case.badge = _Badge()
    elif not badge.is_awarded and badge.revoked_by not in BY_A_PERSON:
        if badge.credly_state not in REVOCATION_BEGUN and (is_news or not badge.is_at_credly):
            badge.standing, badge.revoked_by = Standing.AWARDED, ""
        elif reaward:
            case.badge = _Badge()
