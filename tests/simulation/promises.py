"""What must hold: at every step, and in the end."""

from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from typing import Any
from uuid import UUID

from django.db.models import F

from pipeline import rules
from pipeline.bus import catalogue
from pipeline.models import Badge, CredlyState, Event, Fulfillment, Learner, Signal, SignalState, Standing, Template
from tests.rules import oracle
from tests.simulation import school
from tests.simulation.bus import Bus, Told
from tests.simulation.credly import Broken, Credly
from tests.simulation.scenario import LEARNERS, Scenario
from tests.simulation.school import COURSE as PER


def check_new_signals(credly: Credly, seen: int) -> int:
    """A signal is written for a fact only; returns the newest one's id.  `seen` were looked at before."""
    for signal in Signal.objects.filter(pk__gt=seen).select_related("badge").order_by("pk"):
        state = credly.state_of(signal.badge.credly_id)
        kind = _kind(signal.event_type)
        if state is None or (kind == "revoked" and state != "revoked"):
            raise Broken(f"signal {signal.pk} says {kind}, but Credly holds {state} of badge {signal.badge_id}")
        seen = signal.pk
    return seen


def check_end(scenario: Scenario, credly: Credly, bus: Bus) -> None:
    """After all went well for a while, nothing waits and everything is as the events say, and told."""
    templates = [template for plan in scenario.plans for template in school.compiled(plan)]
    events = [oracle.Event(event.id, event.time, event.type, event.payload) for event in scenario.events]
    _check_events(scenario, templates)
    _check_learners(templates, events)
    _check_progress(templates, events)
    _check_badges(templates, events, credly)
    _check_signals(bus.told)


def _same(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise Broken(f"{what}: found {found}, expected {expected}")


def _check_events(scenario: Scenario, templates: list[rules.Template]) -> None:
    expected = {event.id: "processed" if oracle.matches(templates, event) else "ignored" for event in scenario.events}
    rows = dict(Event.objects.values_list("id", "status"))
    _same("events", {key: status for key, status in rows.items() if status != "failed"}, expected)
    failed = [status for status in rows.values() if status == "failed"]
    _same("unreadable messages", len(failed), scenario.garbage)


def _of(learner: int, events: Iterable[oracle.Event]) -> list[oracle.Event]:
    return [event for event in events if _user(event)["id"] == learner]


def _user(event: oracle.Event) -> dict[str, object]:
    user = catalogue.user_of(event.type, event.payload)
    assert user is not None
    return dict(user)


def _check_learners(templates: list[rules.Template], events: list[oracle.Event]) -> None:
    """Each learner is as their newest event that met a rule shows them."""
    met = [event for event in events if oracle.matches(templates, event)]
    newest = {_user(event)["id"]: event.id for event in sorted(met, key=lambda event: (event.time, event.id))}
    _same("learners", dict(Learner.objects.values_list("lms_user_id", "as_of_event")), newest)


def _check_progress(templates: list[rules.Template], events: list[oracle.Event]) -> None:
    expected = {
        (learner, value, requirement.id): event.id
        for learner in LEARNERS
        for template in templates
        for value, own in oracle.badges(template, _of(learner, events)).items()
        for requirement in template.requirements
        if (event := oracle.fulfilled_by(template, requirement, own))
    }
    rows = Fulfillment.objects.filter(fulfilled=True)
    found = rows.values_list("progress__learner__lms_user_id", "progress__value", "requirement_id", "event")
    _same("progress", {(learner, value, key): event for learner, value, key, event in found}, expected)


def _check_badges(templates: list[rules.Template], events: list[oracle.Event], credly: Credly) -> None:
    """Awarded is what the rules give; without `reaward` a revocation that was carried out is final."""
    badges = list(Badge.objects.annotate(lms_user_id=F("learner__lms_user_id")))
    carried_out = {_holder(badge) for badge in badges if badge.credly_state == CredlyState.REVOKED}
    earned = {
        (learner, template.id, value)
        for learner in LEARNERS
        for template in templates
        for value in oracle.held(template, _of(learner, events))
        if template.reaward or (learner, template.id, value) not in carried_out
    }
    awarded = [badge for badge in badges if badge.standing == Standing.AWARDED]
    _same("awarded", {_holder(badge) for badge in awarded}, earned)
    uuids = dict(Template.objects.values_list("pk", "uuid"))
    ours = [(badge.lms_user_id, str(uuids[badge.template_id]), badge.credly_id) for badge in awarded]
    _same("held at Credly", Counter(credly.live()), Counter(ours))
    for badge in awarded:
        _check_date(badge, events, credly)


def _check_date(badge: Any, events: list[oracle.Event], credly: Credly) -> None:
    """Credly does not know for what value it holds a badge, but the date tells: no badge was taken for another."""
    issued_at = credly.issued_at(badge.credly_id)
    of_value = (
        event for event in _of(badge.lms_user_id, events) if badge.value in ("", oracle.text(event.payload, PER))
    )
    if issued_at not in {event.time for event in of_value}:
        raise Broken(
            f"dates: badge {badge.pk} for {badge.value!r} was issued as of {issued_at}, when nothing was earned"
        )


def _holder(badge: Any) -> tuple[int, int, str]:
    """Learner, template and value."""
    return badge.lms_user_id, badge.template_id, badge.value


def _check_signals(told: list[Told]) -> None:
    """Each badge that Credly ever held was told `awarded`, then `revoked` if it is, by one event each and in order."""
    order = ("badge__learner", "badge__template", "badge__value", "pk")
    rows = list(Signal.objects.select_related("badge").order_by(*order))
    _same("signals not sent", [row.pk for row in rows if row.state != SignalState.SENT], [])
    expected = set()
    for badge in Badge.objects.exclude(credly_id=None):
        expected.add((badge.uuid, "awarded"))
        if badge.credly_state == CredlyState.REVOKED:
            expected.add((badge.uuid, "revoked"))
    _same("signals", {(row.badge.uuid, _kind(row.event_type)) for row in rows}, expected)
    _same("told", {(each.id, each.badge, each.kind) for each in told}, {_as_told(row) for row in rows})
    first: dict[UUID, int] = {}
    for position, each in enumerate(told):
        first.setdefault(each.id, position)
    for _, group in groupby(rows, key=lambda row: (row.badge.learner_id, row.badge.template_id, row.badge.value)):
        one_after_another = list(group)
        kinds = [_kind(row.event_type) for row in one_after_another]
        _same("kinds in turn", kinds, (["awarded", "revoked"] * len(kinds))[: len(kinds)])
        positions = [first[row.uuid] for row in one_after_another]
        _same("order of what was told", positions, sorted(positions))


def _as_told(row: Signal) -> tuple[UUID, UUID, str]:
    return row.uuid, row.badge.uuid, _kind(row.event_type)


def _kind(event_type: str) -> str:
    return event_type.split(".")[-2]
