"""Badges that need badges: our own signals come back from the bus and count like any event.

They may come back late, several times and in any order; the times of what they tell decide.
"""

import random
from collections.abc import Sequence
from datetime import timedelta
from itertools import permutations
from uuid import uuid4

import pytest
from django.conf import LazySettings
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import stages
from pipeline.bus.codec import DecodedMessage
from pipeline.ledgers import inbox, retirement
from pipeline.ledgers.outbox import AWARDED, REVOKED
from pipeline.lms.events import LmsLearner
from pipeline.models import Badge, ConfigurationVersion, Event, Learner, Signal, Template
from tests.ledgers import builders
from tests.ledgers.builders import DEMO, MATH, TOPIC, deliver, fails, lms_learner, make_due, passes, received, told
from tests.stages.conftest import Site
from tests.stages.credly_events import act
from tests.stages.credly_events import told as told_by_credly
from tests.stages.test_order import PROFILE, Example, deliveries
from tests.stages.test_order import ups_and_downs as ups_and_downs_of_one
from tests.stages.test_query_counts import STORE

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(900)]


def template_uuid(template: Template) -> tuple[str, str, str]:
    return ("template.uuid", "eq", str(template.uuid))


def needs(site: Site, template: Template, **fields: object) -> Template:
    """One more template, at Credly too: awarded with the badge of `template`, revoked with it."""
    uuid = str(uuid4())
    site.emulator.control("POST", "templates", {"id": uuid, "organization": site.academy.organization, "name": "Next"})
    row = builders.template(site.organization, uuid=uuid, reaward=True, **fields)
    held = builders.requirement(row, "held", template_uuid(template), type=AWARDED)
    builders.penalty(row, "lost", [held], template_uuid(template), type=REVOKED)
    return row


def chain(site: Site, length: int) -> list[Template]:
    """Templates of which each needs the badge of the one before; the first, passing the demo course."""
    templates = [site.template]
    while len(templates) < length:
        templates.append(needs(site, templates[-1]))
    return templates


def back(signals: Sequence[Signal]) -> list[DecodedMessage]:
    """These signals as the consumer reads them from the bus."""
    return [
        DecodedMessage(
            id=signal.uuid,
            type=signal.event_type,
            time=signal.created_at,
            source="ours",
            minorversion=1,
            payload=signal.payload,
            position="1-0",
        )
        for signal in signals
    ]


def come_back(signals: Sequence[Signal]) -> None:
    """They come back together, and are evaluated and persisted."""
    stages.persist(stages.evaluate(inbox.store(back(signals), TOPIC)))


def issue_due() -> None:
    for row in Badge.objects.filter(due_at__isnull=False).order_by("pk"):
        make_due(row)
        stages.issue(row.pk)


def settle() -> None:
    """Credly is called and every signal comes back, until nothing changes any more."""
    for _ in range(20):
        issue_due()
        known = Event.objects.filter(type__in=(AWARDED, REVOKED)).values_list("pk", flat=True)
        news = list(Signal.objects.exclude(uuid__in=known).order_by("pk"))
        if not news and not Badge.objects.filter(due_at__isnull=False).exists():
            return
        come_back(news)
    raise AssertionError("the chain never came to rest")


def standings(templates: Sequence[Template]) -> list[str]:
    """Of the newest badge of each template, what Credly holds; nothing where there is none."""
    rows = {row.template_id: row.credly_state for row in Badge.objects.order_by("cycle")}
    return [rows.get(template.pk, "") for template in templates]


def test_a_chain_of_five_is_awarded_from_its_first_and_revoked_with_it(site):
    templates, who = chain(site, 5), lms_learner()
    deliver(passes(who, 1))
    settle()
    assert (standings(templates), len(site.live()), told(who)) == (["pending"] * 5, 5, ["awarded"] * 5)
    deliver(fails(who, 2))
    settle()
    assert (standings(templates), len(site.live()), told(who)[5:]) == (["revoked"] * 5, 0, ["revoked"] * 5)
    assert (Badge.objects.count(), len(site.calls())) == (5, 5)


def test_a_badge_revoked_at_credly_revokes_those_that_need_it(site):
    templates, who = chain(site, 3), lms_learner()
    deliver(passes(who, 1))
    settle()
    first = Badge.objects.get(template=site.template)
    act(site, first, "revoke")
    told_by_credly(site, "badge.state.changed")
    settle()
    assert (standings(templates), site.live()) == (["revoked"] * 3, [])
    assert sorted(Badge.objects.values_list("revoked_by", flat=True)) == ["credly", "rules", "rules"]


def test_who_needs_two_badges_is_awarded_with_the_second(site):
    other = needs(site, site.template, name="Other")
    both = builders.template(site.organization, reaward=True)
    for template in (site.template, other):
        builders.requirement(both, str(template.pk), template_uuid(template), type=AWARDED)
    deliver(passes(lms_learner(), 1))
    issue_due()
    come_back(Signal.objects.all())
    assert not Badge.objects.filter(template=both).exists()
    issue_due()
    come_back(Signal.objects.all())
    last = Signal.objects.get(badge__template=other)
    assert Badge.objects.get(template=both).earned_at == last.created_at


def ups_and_downs(site: Site, who: LmsLearner, number: int) -> list[Signal]:
    """The learner passes and fails so often in turn; the signals about the badge, none of which came back yet."""
    for minute in range(number):
        deliver((fails if minute % 2 else passes)(who, minute))
        issue_due()
        issue_due()
    return list(Signal.objects.filter(badge__template=site.template).order_by("pk"))


@pytest.mark.parametrize("number", [4, 5])
@pytest.mark.parametrize("seed", range(5))
def test_signals_may_come_back_in_any_order_and_again_and_the_newest_decides(site, number, seed):
    following, draw = needs(site, site.template), random.Random(seed)
    signals = ups_and_downs(site, lms_learner(), number)
    assert [signal.event_type.split(".")[-2] for signal in signals] == (["awarded", "revoked"] * 3)[:number]
    for signal in draw.sample([*signals, *signals], 2 * number):
        come_back([signal])
    assert Badge.objects.filter(template=following, standing="awarded").exists() is bool(number % 2)


def test_a_revocation_of_the_first_cycle_that_comes_back_after_the_award_of_the_second_changes_nothing(site):
    following = needs(site, site.template)
    first, revoked, second = ups_and_downs(site, lms_learner(), 3)
    come_back([first, second])
    come_back([revoked])
    assert list(Badge.objects.filter(template=following).values_list("standing", "cycle")) == [("awarded", 1)]


def test_of_two_signals_about_a_badge_the_later_has_the_later_time_also_after_the_clock_was_set_back(site):
    ahead = timezone.now() + timedelta(minutes=3)
    who = lms_learner()
    ups_and_downs(site, who, 1)
    Signal.objects.update(created_at=ahead)
    deliver(fails(who, 2))
    issue_due()
    deliver(passes(who, 3))
    issue_due()
    times = list(Signal.objects.order_by("pk").values_list("created_at", flat=True))
    assert times == sorted(set(times))
    assert (len(times), times[0]) == (3, ahead)


def test_signals_from_a_clock_that_ran_ahead_lead_on_to_the_next_badge_all_the_same(site):
    following, who = needs(site, site.template), lms_learner()
    ups_and_downs(site, who, 1)
    Signal.objects.update(created_at=timezone.now() + timedelta(hours=1))
    settle()
    assert standings([site.template, following]) == ["pending", "pending"]
    deliver(fails(who, 2))
    settle()
    assert standings([site.template, following]) == ["revoked", "revoked"]
    assert set(Event.objects.values_list("status", flat=True)) <= {"processed", "ignored"}


@settings(PROFILE)
@given(data=st.data(), history=ups_and_downs_of_one())
def test_events_in_any_order_end_with_the_whole_chain_or_with_none_of_it(site, data, history):
    with Example():
        for badge in site.live():
            site.academy.call("DELETE", f"/badges/{badge['id']}")
        Template.objects.filter(pk=site.template.pk).update(reaward=True)
        ConfigurationVersion.renew()
        templates = chain(site, 3)
        for event in deliveries(data.draw, history):
            deliver(event)
            if data.draw(st.booleans(), label="settles between"):
                settle()
        settle()
        newest = max(history, key=lambda event: (event.time, event.id))
        expected = {each.pk for each in templates} if newest.payload["is_passing"] else set()
        assert set(Badge.objects.filter(standing="awarded").values_list("template", flat=True)) == expected
        assert len(site.live()) == len(expected)


def test_of_several_badges_of_one_template_the_loss_of_one_leaves_what_asks_for_any(site):
    """In whatever order the courses are passed and failed."""
    site.academy.call("PUT", f"/badge_templates/{site.academy.template}", json={"allow_duplicate_badges": True})
    Template.objects.filter(pk=site.template.pk).update(per="course.course_key", reaward=True)
    for row in (*site.template.requirements.all(), *site.template.penalties.all()):
        row.rules.filter(data_path="course.course_key").delete()
    following, who = needs(site, site.template), lms_learner()
    history = [passes(who, 1, DEMO), passes(who, 2, MATH), fails(who, 3, MATH)]
    for order in permutations(history):
        with transaction.atomic():
            for event in order:
                deliver(event)
                settle()
            assert list(
                Badge.objects.filter(template=following, standing="awarded").values_list("value", flat=True)
            ) == [""]
            deliver(fails(who, 4, DEMO))
            settle()
            assert not Badge.objects.filter(standing="awarded").exists()
            assert site.live() == []
            transaction.set_rollback(True)


def awarded_once(site: Site) -> Signal:
    [signal] = ups_and_downs(site, lms_learner(), 1)
    return signal


def status_of(signal: Signal) -> str:
    return Event.objects.get(pk=signal.uuid).status


def test_signals_that_no_active_template_asks_for_are_ignored_from_the_start(site):
    needs(site, site.template, active=False)
    signal = awarded_once(site)
    assert inbox.store(back([signal]), TOPIC) == []
    assert (status_of(signal), Event.objects.get(pk=signal.uuid).due_at) == ("ignored", None)


@pytest.mark.parametrize("asked", [AWARDED, REVOKED])
def test_of_the_two_types_only_the_one_that_is_asked_for_is_evaluated(site, asked):
    builders.requirement(builders.template(site.organization), "any", type=asked)
    signals = ups_and_downs(site, lms_learner(), 2)
    assert inbox.store(back(signals), TOPIC) == [each.uuid for each in signals if each.event_type == asked]


def test_from_when_a_template_that_asks_is_activated_they_are_evaluated(site):
    following = needs(site, site.template, active=False)
    signals = ups_and_downs(site, lms_learner(), 3)
    assert inbox.store(back(signals[:1]), TOPIC) == []
    following.active = True
    following.save()
    assert set(inbox.store(back(signals), TOPIC)) == {each.uuid for each in signals[1:]}
    assert inbox.replay([signals[0].uuid]) == [signals[0].uuid]


def test_a_setting_that_does_not_list_them_goes_before(site, settings: LazySettings):
    needs(site, site.template)
    events = [name for name in settings.BADGES_CONFIG["events"] if name not in (AWARDED, REVOKED)]
    settings.BADGES_CONFIG = settings.BADGES_CONFIG | {"events": events}
    assert inbox.store(back([awarded_once(site)]), TOPIC) == []


def test_what_nobody_asks_for_costs_one_query_in_a_batch_and_other_events_none(site):
    signals = ups_and_downs(site, lms_learner(), 2)
    counts = []
    for batch in (back(signals[:1]), back(signals[1:]), [builders.message(passes(lms_learner(), 1))]):
        with CaptureQueriesContext(connection) as captured:
            inbox.store(batch, TOPIC)
        counts.append(sum("SAVEPOINT" not in query["sql"] for query in captured))
    assert counts[1:] == [STORE + 1, STORE]  # the first learns what is asked for


def test_a_signal_is_no_news_of_the_learner(site):
    """It says what we knew when it was written; a change that the LMS told before, and that comes later, is newer."""
    needs(site, site.template)
    who = lms_learner(email="old@learners.example")
    deliver(passes(who, 1))
    issue_due()
    come_back(Signal.objects.all())
    moved = LmsLearner(who.id, who.username, "new@learners.example", who.name)
    deliver(passes(moved, 2))
    assert Learner.objects.get(lms_user_id=who.id).email == "new@learners.example"


def test_a_learner_whom_only_a_signal_names_is_known_until_the_lms_says_more(site):
    """So after the database was lost: the bus still has the signals, and any event of the LMS is newer."""
    needs(site, site.template)
    signal = awarded_once(site)
    who = signal.payload["user"]["id"]
    signal.payload["user"]["id"] = 10**6 + who
    come_back([signal])
    made = Learner.objects.get(lms_user_id=10**6 + who)
    assert made.email == signal.payload["user"]["pii"]["email"]
    deliver(passes(LmsLearner(made.lms_user_id, "renamed", "new@learners.example", "New"), 1))
    made.refresh_from_db()
    assert (made.username, made.email) == ("renamed", "new@learners.example")


def test_the_badge_of_a_retired_learner_that_follows_is_not_issued_and_names_nobody(site):
    following = needs(site, site.template)
    who = lms_learner(name="Dana Moe")
    deliver(passes(who, 1))
    issue_due()
    retirement.retire(who.id)
    come_back(Signal.objects.all())
    issue_due()
    row = Badge.objects.get(template=following)
    assert (row.credly_state, row.error.startswith("The learner was retired")) == ("failed", True)
    assert (row.learner.name, row.learner.email) == ("", "")


def test_a_signal_that_names_nobody_is_refused_like_any_event(site):
    needs(site, site.template)
    signal = awarded_once(site)
    del signal.payload["user"]["pii"]
    come_back([signal])
    assert status_of(signal) == "failed"


def test_signals_are_received_like_events_of_the_lms(site):
    needs(site, site.template)
    signal = awarded_once(site)
    lms = passes(lms_learner(), 1)
    assert received(lms) == [lms.id]
    come_back([signal])
    row = Event.objects.get(pk=signal.uuid)
    assert (row.status, row.lms_user_id) == ("processed", signal.payload["user"]["id"])
