"""Order and repetition do not matter: random configurations and events, in any order, against a brute-force oracle.

The database is real, Credly's emulator is real, and its templates allow duplicates: nothing but our own care keeps a
second badge away.  `HYPOTHESIS_PROFILE=thorough` tries twenty times as many examples.
"""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby, pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import rules, stages
from pipeline.lms.events import CCX_PASSING, PASSING, LmsEvent, LmsLearner, passing_event
from pipeline.models import Badge, Fulfillment, Organization, Requirement, Signal
from tests.ledgers import builders
from tests.ledgers.builders import DEMO, FAILED, MATH, PASSED, at, course, deliver, deliver_together, make_due, told
from tests.rules import oracle
from tests.stages.conftest import Site

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(900)]

settings.register_profile(
    "order",
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.register_profile("thorough", settings.get_profile("order"), max_examples=2000)
PROFILE = settings.get_profile(os.environ.get("HYPOTHESIS_PROFILE", "order"))

ART = "course-v1:OpenedX+Art+2026"
CCX = "ccx-v1:OpenedX+DemoX+Demo_Course+ccx@1"
LEARNERS = [
    LmsLearner(number, f"learner{number}", f"learner{number}@learners.example", "Dana Moe") for number in (901, 902)
]

# Mostly what makes badges come and go: passing the demo course fulfills, failing it resets.
fulfilling = st.sampled_from(
    [(PASSED, course(DEMO)), (PASSED, course(DEMO)), (PASSED,), (PASSED, course(MATH)), (FAILED, course(MATH)), ()]
)
resetting = st.sampled_from([(FAILED, course(DEMO)), (FAILED, course(DEMO)), (FAILED,), (PASSED, course(MATH))])
types = st.sampled_from([PASSING, PASSING, PASSING, PASSING, CCX_PASSING])


@dataclass(frozen=True)
class Plan:
    """A template to configure: requirements as (type, group, rules), penalties as (type, requirements, rules).

    `asks` has, for each requirement that asks for more than one event, its other columns; `after` in it is a position.
    """

    requirements: Sequence[tuple[str, str, Any]]
    penalties: Sequence[tuple[str, frozenset[int], Any]]
    asks: Sequence[dict[str, Any]] = field(default_factory=list)
    per: str = ""

    def asks_of(self, number: int) -> dict[str, Any]:
        return dict(self.asks[number]) if self.asks else {}


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """One to three requirements and up to two penalties.  CCX events have no course key; their rules see the flag alone."""
    number = draw(st.sampled_from([1, 1, 2, 3]))
    groups = st.sampled_from(["A", "A", "B", ""])
    requirements = [(draw(types), draw(groups), draw(fulfilling)) for _ in range(number)]
    subsets = st.frozensets(st.integers(0, number - 1), min_size=1)
    penalties = [(draw(types), draw(subsets), draw(resetting)) for _ in range(draw(st.sampled_from([0, 1, 1, 2])))]
    return Plan(
        [(kind, group, seen[:1] if kind == CCX_PASSING else seen) for kind, group, seen in requirements],
        [(kind, which, seen[:1] if kind == CCX_PASSING else seen) for kind, which, seen in penalties],
    )


# Values are told apart by the course key, or by the name, which the demo course shares with its custom course.
COURSE, NAME = "course.course_key", "course.display_name"
START, SEATS = "course.start", "course.max_students_allowed"
KINDS: dict[str, rules.Kind] = {START: "time", SEATS: "number"}
in_general = st.sampled_from(
    [
        (PASSED,),
        (PASSED,),
        (PASSED, (COURSE, "starts_with", "course-v1:OpenedX+")),
        (PASSED, (COURSE, "in", f"{DEMO}\n{MATH}")),
        (PASSED, (COURSE, "not_in", f"{ART}\n{CCX}")),
        (PASSED, (COURSE, "matches", ".*[+](DemoX|Math)[+].*")),
        (PASSED, (NAME, "contains", "a")),
        (PASSED, (COURSE, "exists", "true"), (START, "exists", "false")),
    ]
)
broad = in_general | st.sampled_from(
    [(PASSED, (START, "ge", "2026-05-01T00:00:00Z")), (PASSED, (START, "lt", "2026-05-01T00:00:00Z"))]
)
# Where the start of a custom course is a text, and so neither earlier nor later than anything.
of_custom_courses = in_general | st.sampled_from([(PASSED, (SEATS, "gt", "5")), (PASSED, (SEATS, "le", "5.0"))])
taking_back = st.sampled_from([(FAILED,), (FAILED,), (FAILED, course(DEMO)), (FAILED, (COURSE, "exists", "false"))])
spans = st.sampled_from([None, None, timedelta(0), timedelta(minutes=2), timedelta(minutes=4)])


@st.composite
def rich_plans(draw: st.DrawFn) -> Plan:
    """One to three requirements that count, span time or follow one another, up to two penalties, a badge per value."""
    number = draw(st.sampled_from([1, 1, 2, 3]))
    kinds, groups = [draw(types) for _ in range(number)], st.sampled_from(["A", "", ""])
    subsets = st.frozensets(st.integers(0, number - 1), min_size=1)
    penalties = [
        (draw(st.sampled_from([PASSING, PASSING, CCX_PASSING])), draw(subsets), draw(taking_back))
        for _ in range(draw(st.sampled_from([0, 1, 1, 2])))
    ]
    return Plan(
        [(kind, draw(groups), draw(of_custom_courses if kind == CCX_PASSING else broad)) for kind in kinds],
        penalties,
        [_asks(draw, each) for each in range(number)],
        draw(st.sampled_from(["", "", COURSE, NAME])),
    )


def _asks(draw: st.DrawFn, position: int) -> dict[str, Any]:
    asks: dict[str, Any] = {"count": draw(st.sampled_from([1, 2, 2, 3]))}
    asks["distinct"] = draw(st.sampled_from(["", COURSE, COURSE, NAME]))
    if asks["count"] > 1:
        asks["within"] = draw(spans)
    if draw(st.sampled_from([False, False, True])):
        asks |= {"counts_from": at(draw(st.integers(0, 3))), "counts_until": at(draw(st.integers(4, 8)))}
    if position and draw(st.booleans()):
        asks["after"] = draw(st.integers(0, position - 1))
    return asks


USUAL = Plan([(PASSING, "", (PASSED, course(DEMO)))], [(PASSING, frozenset([0]), (FAILED, course(DEMO)))])


@st.composite
def ups_and_downs(draw: st.DrawFn) -> list[LmsEvent]:
    """One learner passes, fails, passes, ... the demo course: with the usual template the badge comes and goes."""
    number = draw(st.integers(2, 7))
    return [passing_event(LEARNERS[0], DEMO, each % 2 == 0, at(each), UUID(int=each + 1)) for each in range(number)]


@st.composite
def histories(draw: st.DrawFn) -> list[LmsEvent]:
    """Different events of two learners, some at the same time."""
    ids = draw(st.lists(st.integers(1, 99), unique=True, min_size=1, max_size=8))
    return [
        passing_event(
            draw(st.sampled_from([LEARNERS[0], LEARNERS[0], LEARNERS[1]])),
            draw(st.sampled_from([DEMO, DEMO, DEMO, MATH, CCX])),
            draw(st.booleans()),
            at(draw(st.integers(0, 6))),
            UUID(int=each),
        )
        for each in ids
    ]


@st.composite
def many_passes(draw: st.DrawFn) -> list[LmsEvent]:
    """Different events of two learners, mostly of one who passes several courses."""
    ids = draw(st.lists(st.integers(1, 99), unique=True, min_size=2, max_size=9))
    events = [
        passing_event(
            draw(st.sampled_from([LEARNERS[0], LEARNERS[0], LEARNERS[0], LEARNERS[1]])),
            draw(st.sampled_from([DEMO, DEMO, MATH, MATH, ART, CCX])),
            draw(st.sampled_from([True, True, True, False])),
            at(draw(st.integers(0, 8))),
            UUID(int=each),
        )
        for each in ids
    ]
    for event in events:
        course_data = event.payload["course"]
        course_data["start"] = draw(st.sampled_from([None, "2026-05-01T01:00:00+02:00", "2026-05-01T02:00:00+02:00"]))
        if event.type == CCX_PASSING:
            course_data["max_students_allowed"] = draw(st.sampled_from([None, 5, 12]))
    return events


any_plan = st.just(USUAL) | plans() | rich_plans()
any_history = ups_and_downs() | histories() | many_passes()


def deliveries(draw: st.DrawFn, history: list[LmsEvent]) -> list[LmsEvent]:
    """The same events as they happened or in any order, each at least once."""
    every = history + draw(st.lists(st.sampled_from(history), max_size=4))
    return sorted(every, key=lambda event: event.time) if draw(st.booleans()) else draw(st.permutations(every))


def batches(draw: st.DrawFn, delivered: list[LmsEvent]) -> list[list[LmsEvent]]:
    """The same events, cut anywhere."""
    cuts = sorted(draw(st.sets(st.integers(1, len(delivered)), max_size=3)) | {len(delivered)})
    return [delivered[start:end] for start, end in pairwise([0, *cuts])]


def configure(organization: Organization, plan: Plan, *, reaward: bool, uuid: str | None = None) -> rules.Template:
    """Write the template's rows; returns it as the oracle wants it."""
    row = builders.template(organization, uuid=uuid or uuid4(), reaward=reaward, per=plan.per)
    made: list[Requirement] = []
    for number, (kind, group, seen) in enumerate(plan.requirements):
        asks = plan.asks_of(number)
        if "after" in asks:
            asks["after"] = made[asks["after"]]
        made.append(builders.requirement(row, f"requirement-{number}", *seen, type=kind, group=group, **asks))
    for number, (kind, which, seen) in enumerate(plan.penalties):
        builders.penalty(row, f"penalty-{number}", [made[each] for each in which], *seen, type=kind)
    return rules.Template(
        id=row.pk,
        requirements=tuple(
            rules.Requirement(
                each.pk,
                row.pk,
                kind,
                group or None,
                _rules(seen),
                count=each.count,
                distinct=each.distinct or None,
                within=each.within,
                counts_from=each.counts_from,
                counts_until=each.counts_until,
                after=each.after_id,
            )
            for each, (kind, group, seen) in zip(made, plan.requirements, strict=True)
        ),
        penalties=tuple(
            rules.Penalty(
                number,
                row.pk,
                kind,
                frozenset(made[each].pk for each in which),
                _rules(seen),
            )
            for number, (kind, which, seen) in enumerate(plan.penalties)
        ),
        reaward=reaward,
        per=plan.per or None,
    )


def _rules(seen: Sequence[tuple[str, str, str]]) -> tuple[rules.Rule, ...]:
    return tuple(rules.Rule(*rule, kind=KINDS.get(rule[0], "text")) for rule in seen)


def of(who: LmsLearner, history: list[LmsEvent]) -> list[oracle.Event]:
    own = [event for event in history if event.payload["user"]["id"] == who.id]
    return [oracle.Event(event.id, event.time, event.type, event.payload) for event in own]


Decided = dict[tuple[int, str, int], tuple[UUID, bool]]
"""By learner, value and requirement: the event that decides it, and whether it fulfills it."""


def expected_progress(templates: list[rules.Template], history: list[LmsEvent]) -> Decided:
    """What fulfills each requirement, else what took it back last."""
    found: Decided = {}
    for who in LEARNERS:
        for template in templates:
            for value, events in oracle.badges(template, of(who, history)).items():
                for requirement in template.requirements:
                    event = oracle.fulfilled_by(template, requirement, events)
                    resets = [each for each in events if oracle.resets(template, requirement, each)]
                    if deciding := event or max(resets, key=oracle.order, default=None):
                        found[who.id, value, requirement.id] = (deciding.id, event is not None)
    return found


def stored_progress() -> Decided:
    rows = Fulfillment.objects.select_related("progress__learner")
    return {
        (row.progress.learner.lms_user_id, row.progress.value, row.requirement_id): (row.event, row.fulfilled)
        for row in rows
    }


Holder = tuple[int, int, str]
"""A learner, a template, and the value of its badge."""


def expected_holders(templates: list[rules.Template], history: list[LmsEvent]) -> set[Holder]:
    return {
        (who.id, template.id, value)
        for who in LEARNERS
        for template in templates
        for value in oracle.held(template, of(who, history))
    }


HOLDER = ("learner__lms_user_id", "template", "value")


def awarded() -> set[Holder]:
    return set(Badge.objects.filter(standing="awarded").values_list(*HOLDER))


def live_at_credly(site: Site) -> list[Holder]:
    """Whose badges these are that Credly holds, which does not know the values itself."""
    ours = {
        row["credly_id"]: tuple(row[field] for field in HOLDER) for row in Badge.objects.values("credly_id", *HOLDER)
    }
    return sorted(ours[UUID(row["id"])] for row in site.live())


def assert_no_badge_too_many(site: Site) -> None:
    """Of one learner and template Credly holds no more than there are values for which it may hold one."""
    held = Counter((int(row["issuer_earner_id"]), row["template"]) for row in site.live())
    rows = Badge.objects.exclude(credly_state__in=("none", "revoked"))
    may_hold = set(rows.values_list("learner__lms_user_id", "template__uuid", "value"))
    most = Counter((learner, str(template)) for learner, template, _ in may_hold)
    assert held <= most, "a learner holds two badges of one template and value"


def issue_due(*, newest_first: bool = False) -> None:
    """One step of every badge that has something to do."""
    for row in Badge.objects.filter(due_at__isnull=False).order_by("-pk" if newest_first else "pk"):
        make_due(row)
        Organization.objects.update(call_again_at=None)
        stages.issue(row.pk)


def issue_all() -> None:
    """Steps until nothing is left to do."""
    for _ in range(20):
        if not Badge.objects.filter(due_at__isnull=False).exists():
            return
        issue_due()
    stuck = Badge.objects.filter(due_at__isnull=False).values(
        "standing", "credly_state", "cycle", "error", "history__outcome"
    )
    raise AssertionError(f"issuing never came to rest: {list(stuck)}")


def assert_signals_are_true() -> None:
    """Each badge tells `awarded` once, then perhaps `revoked` once; and of one learner, template and value they alternate."""
    subject = ("badge__learner", "badge__template", "badge__value")
    rows = Signal.objects.order_by(*subject, "pk").values_list(*subject, "badge__cycle", "event_type")
    for _, told_of_one in groupby(rows, key=lambda row: row[:3]):
        kinds = [(cycle, kind.split(".")[-2]) for *_, cycle, kind in told_of_one]
        assert [kind for _, kind in kinds] == ["awarded", "revoked"] * (len(kinds) // 2) + ["awarded"] * (
            len(kinds) % 2
        )
        assert len(kinds) == len(set(kinds))
    held = Badge.objects.filter(credly_state="pending")
    assert all(builders.signals(badge) == ["awarded"] for badge in held)


class Example(transaction.Atomic):
    """The transaction of one example, taken back at its end."""

    def __init__(self) -> None:
        super().__init__(using=None, savepoint=True, durable=False)

    def __exit__(self, *raised: Any) -> None:
        transaction.set_rollback(True)
        super().__exit__(*raised)


@settings(PROFILE)
@given(
    data=st.data(),
    chosen=st.lists(any_plan, min_size=1, max_size=2),
    history=any_history,
    reaward=st.booleans(),
)
def test_any_order_and_any_repetition_end_in_the_same_progress_and_standing(data, chosen, history, reaward):
    delivered = deliveries(data.draw, history)
    with Example():
        organization = builders.organization()
        templates = [configure(organization, plan, reaward=reaward) for plan in chosen]
        for batch in batches(data.draw, delivered):
            deliver_together(batch)
        assert stored_progress() == expected_progress(templates, history)
        assert awarded() == expected_holders(templates, history)


@settings(PROFILE)
@given(data=st.data(), plan=any_plan, history=any_history)
def test_with_reaward_credly_ends_with_exactly_the_badges_that_the_rules_give(site, data, plan, history):
    with Example():
        templates = at_this_site(site, plan, reaward=True)
        play(site, data, deliveries(data.draw, history))
        issue_all()
        assert stored_progress() == expected_progress(templates, history)
        assert awarded() == expected_holders(templates, history)
        assert live_at_credly(site) == sorted(awarded())
        assert_signals_are_true()


@settings(PROFILE)
@given(data=st.data(), plan=any_plan, history=any_history)
def test_without_reaward_only_a_revocation_that_was_carried_out_makes_a_difference(site, data, plan, history):
    with Example():
        templates = at_this_site(site, plan, reaward=False)
        play(site, data, deliveries(data.draw, history))
        issue_all()
        revoked = set(Badge.objects.filter(credly_state="revoked").values_list(*HOLDER))
        assert stored_progress() == expected_progress(templates, history)
        assert awarded() == expected_holders(templates, history) - revoked
        assert live_at_credly(site) == sorted(awarded())
        assert_signals_are_true()


def at_this_site(site: Site, plan: Plan, *, reaward: bool) -> list[rules.Template]:
    """A new template of the plan, at Credly too, as the only active one.

    Hypothesis may abandon an example between a fault and its end; so each begins with none.
    """
    site.heal()
    uuid = str(uuid4())
    site.emulator.control(
        "POST",
        "templates",
        {"id": uuid, "organization": site.academy.organization, "name": "Any", "allow_duplicate_badges": True},
    )
    for badge in site.live():
        site.academy.call("DELETE", f"/badges/{badge['id']}")
    site.template.active = False
    site.template.save()
    return [configure(site.organization, plan, reaward=reaward, uuid=uuid)]


def play(site: Site, data: st.DataObject, delivered: list[LmsEvent]) -> None:
    """Deliver events; between them, at random, work goes on at Credly, at times without an answer or without effect."""
    for event in delivered:
        deliver(event)
        for _ in range(data.draw(st.integers(0, 2), label="steps")):
            fault = data.draw(st.sampled_from([None, "reset-after-success", "reset-before", "429"]), label="fault")
            for method in ("POST", "PUT") if fault else ():
                site.fault(fault, method=method)
            issue_due(newest_first=data.draw(st.booleans(), label="newest first"))
            site.heal()
            assert_no_badge_too_many(site)


def test_in_the_order_of_arrival_the_end_would_differ(monkeypatch):
    """The control: where the latest arrival decides, the same events end differently."""
    monkeypatch.setattr(rules.progress, "supersedes", lambda new, old: True)
    ends = []
    for turned in (False, True):
        with Example():
            builders.course_template(reaward=True)
            events = [builders.passes(LEARNERS[0], 1), builders.fails(LEARNERS[0], 2)]
            deliver(*(reversed(events) if turned else events))
            ends.append(bool(awarded()))
    assert ends == [False, True]


def test_where_the_newest_event_alone_would_decide_a_requirement_that_counts_the_order_would_matter(monkeypatch):
    """The control: of what counts for a badge only the newest is remembered."""

    def newest_only(template, occurrences):
        newest = {key: [max(each, key=lambda one: (one.time, one.event))] for key, each in occurrences.items() if each}
        return decide(template, newest)

    decide = rules.decide
    monkeypatch.setattr(rules.progress, "decide", newest_only)
    with Example():
        twice = Plan([(PASSING, "", (PASSED,))], [], [{"count": 2, "distinct": COURSE}])
        templates = [configure(builders.organization(), twice, reaward=True)]
        history = [builders.passes(LEARNERS[0], 1), builders.passes(LEARNERS[0], 2, MATH)]
        deliver(*history)
        assert expected_holders(templates, history)
        assert not awarded()


def test_without_the_look_at_credly_a_lost_answer_would_issue_twice(site):
    """The control: a call whose answer was lost, taken for one that never went out."""
    with Example():
        at_this_site(site, Plan([(PASSING, "", (PASSED,))], []), reaward=True)
        site.fault("reset-after-success", times=1)
        deliver(builders.passes(LEARNERS[0], 1))
        issue_due()
        Badge.objects.update(credly_state="none")
        issue_all()
        assert len(site.live()) == 2
        with pytest.raises(AssertionError, match="two badges of one template"):
            assert_no_badge_too_many(site)
        assert told(LEARNERS[0]) == ["awarded"]
