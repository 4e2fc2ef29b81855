"""Who would gain or lose a badge by a backfill: what it would do, without doing it."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from pipeline import rules
from pipeline.bus import catalogue
from pipeline.ledgers import kept
from pipeline.ledgers.badges import BY_A_PERSON, REVOCATION_BEGUN
from pipeline.ledgers.kept import Met, Span
from pipeline.models import Badge, CredlyState, Fulfillment, Occurrence, RevokedBy, Standing

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

    decisions: dict[int, rules.Decision] = field(default_factory=dict)
    occurrences: defaultdict[int, dict[UUID, rules.Occurrence]] = field(default_factory=lambda: defaultdict(dict))
    badge: _Badge | None = None

    @property
    def is_held(self) -> bool:
        return self.badge is not None and self.badge.is_awarded


@dataclass
class _News:
    """What an event changes: any decision, and whether one of them to a reset."""

    changed: bool = False
    reset: bool = False


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
    """How many badges a backfill would change.  Reads only, and nothing more once so many seconds are over."""
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
    of_template = {"progress__template": template.id, "progress__learner__lms_user_id__in": learners}
    owner = ("progress__learner__lms_user_id", "progress__value")
    fulfillments = Fulfillment.objects.filter(**of_template)
    for learner, value, requirement, time_, event, fulfilled in fulfillments.values_list(
        *owner, "requirement", "time", "event", "fulfilled"
    ):
        cases[learner, value].decisions[requirement] = rules.Decision(time_, event, fulfilled)
    occurrences = Occurrence.objects.filter(**of_template) if template.counted else Occurrence.objects.none()
    for learner, value, requirement, *occurrence in occurrences.values_list(
        *owner, "requirement", "time", "event", "value", "fulfills"
    ):
        known = rules.Occurrence(*occurrence)
        cases[learner, value].occurrences[requirement][known.event] = known
    badges = Badge.objects.filter(template=template.id, learner__lms_user_id__in=learners).order_by("cycle")
    for learner, value, standing, revoked_by, credly_state, credly_id in badges.values_list(
        "learner__lms_user_id", "value", "standing", "revoked_by", "credly_state", "credly_id"
    ):
        cases[learner, value].badge = _Badge(standing, revoked_by, credly_state, credly_id is not None)
    return cases


def _take_part(case: _Case, met: Met, match: rules.Match) -> None:
    """What `ledgers.progress.record` and then `ledgers.badges.follow` do with an event."""
    news = _News()
    _decide(case, met, match, news)
    _count(case, met, match, news)
    fulfilled = [requirement for requirement, decision in case.decisions.items() if decision.fulfilled]
    if rules.complete(match.template, fulfilled):
        _award(case, is_news=news.changed, reaward=match.template.reaward)
    elif news.reset and case.badge is not None and case.badge.is_awarded:
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


def _decide(case: _Case, met: Met, match: rules.Match, news: _News) -> None:
    """The requirements that the newest event decides."""
    counted = {requirement.id for requirement in match.template.counted}
    for requirement in (match.fulfills | match.resets) - counted:
        decision = rules.Decision(met.event.time, met.event.id, requirement not in match.resets)
        old = case.decisions.get(requirement)
        if old is None or rules.supersedes(decision, old):
            _note(case, requirement, decision, match, news)


def _count(case: _Case, met: Met, match: rules.Match, news: _News) -> None:
    """The requirements that more than the newest event decides."""
    template, event = match.template, met.event
    if not template.counted:
        return
    new = set()
    for requirement, occurrence in rules.occurrences_of(match, met.payload, event.time, event.id).items():
        known = case.occurrences[requirement].get(event.id)
        if known is None or (known.value, known.fulfills) != (occurrence.value, occurrence.fulfills):
            case.occurrences[requirement][event.id] = occurrence
            new.add(requirement)
    of_requirement = {key: list(events.values()) for key, events in case.occurrences.items()}
    for requirement, decision in _decided(template, of_requirement).items():
        old = case.decisions.get(requirement)
        if decision and decision.fulfilled:
            if decision != old:
                _note(case, requirement, decision, match, news)
        elif (old and old.fulfilled) or (requirement in match.resets and requirement in new):
            _note(case, requirement, rules.Decision(event.time, event.id, False), match, news)


def _decided(
    template: rules.Template, occurrences: Mapping[int, Sequence[rules.Occurrence]]
) -> dict[int, rules.Decision | None]:
    decisions = rules.decide(template, occurrences)
    return {requirement.id: decisions.get(requirement.id) for requirement in template.counted}


def _note(case: _Case, requirement: int, decision: rules.Decision, match: rules.Match, news: _News) -> None:
    case.decisions[requirement] = decision
    news.changed = True
    if not decision.fulfilled and match.resets:
        news.reset = True
