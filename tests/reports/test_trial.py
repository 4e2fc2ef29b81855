"""Try it: says what an event would do, does none of it, and agrees with what the pipeline then really does.

`HYPOTHESIS_PROFILE=thorough` tries twenty times as many examples.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.apps import apps
from django.core import serializers
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import rules, stages
from pipeline.lms.events import LmsEvent, passing_event
from pipeline.models import Badge, BadgeHistory, Fulfillment, RequirementRule, Template
from pipeline.reports.trial import try_event
from pipeline.reports.trial_outcome import Trial, Verdict
from tests.ledgers.builders import (
    DEMO,
    FAILED,
    MATH,
    PASSED,
    at,
    course,
    course_template,
    deliver,
    fails,
    held_badge,
    learner,
    lms_learner,
    organization,
    passes,
    penalty,
    received,
    requirement,
    stored,
    template,
)
from tests.stages.test_order import (
    LEARNERS,
    PROFILE,
    Example,
    any_history,
    any_plan,
    configure,
    fulfilling,
)

pytestmark = pytest.mark.django_db


def tried(row: Template, event: LmsEvent) -> Trial:
    return try_event(row, event.type, event.payload, event.time, event.id)


def changed(event: LmsEvent, place: str, value: Any) -> dict[str, Any]:
    return event.payload | {place: value}


def content() -> list[str]:
    """Every row of every table, as text."""
    return [serializers.serialize("json", model.objects.order_by("pk")) for model in apps.get_models()]


# Rule by rule


def test_each_rule_shows_what_it_expects_what_was_found_and_whether_they_match():
    row = course_template()
    [demo] = tried(row, passes(lms_learner(), 1, MATH)).requirements
    assert [(rule.path, rule.operator, rule.expected, rule.found, rule.matched) for rule in demo.rules] == [
        ("is_passing", "eq", "true", True, True),
        ("course.course_key", "eq", DEMO, MATH, False),
    ]
    assert (demo.slug, demo.same_type, demo.met) == ("demo", True, False)


def test_a_missing_value_matches_nothing():
    row = template()
    requirement(row, "other", ("course.run", "ne", "2026"))
    [other] = tried(row, passes(lms_learner(), 1)).requirements
    assert (other.rules[0].found, other.rules[0].matched, other.met) == (None, False, False)


def test_of_an_event_of_another_type_no_rule_is_looked_at():
    row = template()
    requirement(row, "any", type="org.openedx.learning.course.enrollment.created.v1")
    trial = tried(row, passes(lms_learner(), 1))
    assert [(each.same_type, each.rules, each.met) for each in trial.requirements] == [(False, (), False)]
    assert trial.verdict is Verdict.NO_MATCH


def test_a_requirement_without_rules_is_met_and_a_penalty_without_rules_never_strikes():
    row = template()
    penalty(row, "idle", [requirement(row, "any")])
    trial = tried(row, passes(lms_learner(), 1))
    assert (trial.requirements[0].met, trial.penalties[0].strikes) == (True, False)


def test_a_penalty_names_what_it_resets():
    row = course_template()
    [struck] = tried(row, fails(lms_learner(), 1)).penalties
    assert (struck.slug, struck.requirements, struck.strikes) == ("demo-failed", ("demo",), True)


def test_a_template_with_an_unknown_operator_is_told_to_be_broken():
    row = course_template()
    RequirementRule.objects.update(operator="like")
    with pytest.raises(ValueError, match="like"):
        tried(row, passes(lms_learner(), 1))


# Whether the event would be taken


def test_an_event_without_a_learner_would_be_refused_for_the_reason_that_the_pipeline_gives():
    row, event = course_template(), passes(lms_learner(), 1)
    del event.payload["user"]
    trial = tried(row, event)
    stages.evaluate(received(event))
    assert trial.verdict is Verdict.REFUSED
    assert trial.learner is None
    assert trial.refusal == stored(event).error != ""
    assert trial.refusal in trial.words


def test_an_event_from_the_future_would_be_refused():
    who = lms_learner()
    trial = try_event(
        course_template(), passes(who, 1).type, passes(who, 1).payload, timezone.now() + timedelta(days=1)
    )
    assert trial.verdict is Verdict.REFUSED
    assert "lies in the future" in trial.words


def test_an_event_of_a_type_without_learners_would_be_refused():
    trial = try_event(course_template(), "org.openedx.content_authoring.course.catalog_info.changed.v1", {})
    assert "carry no UserData" in trial.words


def test_an_event_that_nobody_subscribed_to_does_nothing(settings):
    row, event = course_template(), passes(lms_learner(), 1)
    settings.BADGES_CONFIG = settings.BADGES_CONFIG | {"events": []}
    trial = tried(row, event)
    assert trial.verdict is Verdict.UNSUBSCRIBED
    assert trial.requirements[0].met


# What would happen


def test_a_first_event_would_award():
    trial = tried(course_template(), passes(lms_learner(), 1))
    assert trial.words == "The badge would be awarded."
    assert (trial.learner.record, trial.learner.standing, trial.learner.complete_before) == (None, "", False)


def test_an_inactive_template_does_nothing_and_tells_what_it_would_do():
    trial = tried(course_template(active=False), passes(lms_learner(), 1))
    assert (trial.verdict, trial.if_active) == (Verdict.INACTIVE, Verdict.AWARDED)
    assert trial.words == "Nothing: the template is deactivated. If it were active: The badge would be awarded."


def test_what_is_missing_is_named_by_group():
    row = template()
    requirement(row, "demo", PASSED, course(DEMO), group="A")
    for slug in ("math", "physics"):
        requirement(row, slug, PASSED, course(MATH), group="B")
    assert tried(row, passes(lms_learner(), 1)).words == "Nothing: one of group B (math or physics) is still missing."
    requirement(row, "essay", FAILED)
    assert tried(row, passes(lms_learner(), 1)).words == (
        "Nothing: one of group B (math or physics), essay are still missing."
    )


def test_a_template_without_requirements_does_nothing():
    assert tried(template(), passes(lms_learner(), 1)).verdict is Verdict.NO_REQUIREMENT


def test_an_award_is_not_repeated_and_a_failure_would_revoke():
    row, who = course_template(), lms_learner()
    deliver(passes(who, 1))
    assert tried(row, passes(who, 2)).words == "Nothing: the badge is already awarded."
    assert tried(row, fails(who, 3)).words == "The badge would be revoked."


def test_an_older_event_than_the_deciding_one_does_nothing():
    row, who = course_template(), lms_learner()
    deliver(passes(who, 5))
    trial = tried(row, fails(who, 1))
    [step] = trial.learner.steps
    assert (step.effect, step.after == step.before, trial.verdict) == ("outdated", True, Verdict.ALREADY_AWARDED)


def test_an_event_tried_after_it_was_processed_has_decided_already():
    row, event = course_template(), passes(lms_learner(), 1)
    deliver(event)
    [step] = tried(row, event).learner.steps
    assert (step.effect, step.before.event) == ("repeated", event.id)


def test_an_event_that_fulfills_and_resets_resets():
    row = template()
    demo = requirement(row, "demo", PASSED)
    penalty(row, "strict", [demo], PASSED)
    trial = tried(row, passes(lms_learner(), 1))
    assert (trial.learner.steps[0].effect, trial.words) == ("reset", "Nothing: demo is still missing.")


@pytest.mark.parametrize(
    ("reaward", "by", "state", "verdict"),
    [
        (False, "rules", "pending", Verdict.RESTORED),
        (False, "rules", "revoked", Verdict.FINAL),
        (True, "rules", "revoked", Verdict.AWARDED_AGAIN),
        (True, "operator", "revoked", Verdict.REVOKED_BY_OPERATOR),
        (True, "operator", "none", Verdict.REVOKED_BY_OPERATOR),
        (True, "credly", "revoked", Verdict.REVOKED_AT_CREDLY),
    ],
)
def test_a_revoked_badge_comes_back_only_where_that_is_allowed(reaward, by, state, verdict):
    row, who = course_template(reaward=reaward), lms_learner()
    deliver(passes(who, 1), fails(who, 2))
    Badge.objects.update(standing="revoked", revoked_by=by, credly_state=state, credly_id=uuid4())
    event = passes(who, 3)
    assert tried(row, event).verdict is verdict
    deliver(event)
    assert really(row, event, before=(1, "revoked")) == (verdict if verdict in EFFECTIVE else None)


@pytest.mark.parametrize(("credly_id", "verdict"), [(uuid4(), Verdict.NO_NEWS), (None, Verdict.RESTORED)])
def test_an_event_that_decides_nothing_anew_gives_back_only_what_credly_never_held(credly_id, verdict):
    row, who = course_template(), lms_learner()
    deliver(passes(who, 5))
    Badge.objects.update(standing="revoked", revoked_by="rules", credly_state="failed", credly_id=credly_id)
    older = passes(who, 1)
    assert tried(row, older).verdict is verdict
    deliver(older)
    assert really(row, older, before=(1, "revoked")) == (verdict if verdict in EFFECTIVE else None)


def test_a_requirement_added_later_takes_no_badge_away_until_a_penalty_resets_something():
    row, who = course_template(), lms_learner()
    deliver(passes(who, 1))
    requirement(row, "math", PASSED, course(MATH))
    assert tried(row, passes(who, 2)).words == "Nothing: the badge is already awarded."
    assert tried(row, fails(who, 3)).words == "The badge would be revoked."


# No effects


def test_trying_leaves_the_database_as_it_was_and_sends_it_only_reading_queries():
    row, who = course_template(), lms_learner()
    event = passes(who, 1)
    deliver(event)
    held_badge(template=row, learner=learner())
    others = [passes(lms_learner(), 2), fails(who, 3), passes(who, 0), LmsEvent("unknown", uuid4(), at(1), {})]
    before = content()
    with CaptureQueriesContext(connection) as queries:
        for each in [event, *others]:
            tried(row, each)
    assert content() == before
    assert queries.captured_queries
    assert all(query["sql"].startswith("SELECT") for query in queries.captured_queries)


def test_trying_costs_as_many_queries_for_one_requirement_as_for_ten():
    costs = []
    for number in (1, 10):
        row = template()
        for each in range(number):
            penalty(row, f"p{each}", [requirement(row, f"r{each}", PASSED)], FAILED)
        with CaptureQueriesContext(connection) as queries:
            tried(row, passes(lms_learner(), 1))
        costs.append(len(queries))
    assert costs[0] == costs[1] < 12


# Agreement with the real path

EFFECTIVE = {Verdict.AWARDED, Verdict.AWARDED_AGAIN, Verdict.RESTORED, Verdict.REVOKED}


def value_of(row: Template, event: LmsEvent) -> object:
    """What the event has at the template's `per`: for which badge it is."""
    return rules.value_at(event.payload, row.per) if row.per else ""


def newest_badge(row: Template, event: LmsEvent) -> tuple[int, str]:
    """Cycle and standing of the badge of the event's learner, for its value; (0, "") without one."""
    badges = Badge.objects.filter(template=row, learner__lms_user_id=event.payload["user"]["id"])
    badge = badges.filter(value=value_of(row, event)).order_by("cycle").last()
    return (badge.cycle, badge.standing) if badge else (0, "")


def really(row: Template, event: LmsEvent, before: tuple[int, str]) -> Verdict | None:
    """What an event has done to a badge; None for nothing."""
    after = newest_badge(row, event)
    if after == before:
        return None
    if after[1] == "revoked":
        return Verdict.REVOKED
    if after[0] == before[0]:
        return Verdict.RESTORED
    return Verdict.AWARDED if after[0] == 1 else Verdict.AWARDED_AGAIN


def decided(row: Template, event: LmsEvent) -> dict[str, tuple[UUID, bool]]:
    rows = Fulfillment.objects.filter(
        progress__template=row,
        progress__learner__lms_user_id=event.payload["user"]["id"],
        progress__value=value_of(row, event),
    ).select_related("requirement")
    return {each.requirement.slug: (each.event, each.fulfilled) for each in rows}


def promised(trial: Trial) -> dict[str, tuple[UUID, bool]]:
    return {
        step.requirement: (step.after.event, step.after.fulfilled)
        for step in trial.learner.steps
        if step.after is not None
    }


def meddle(draw: st.DrawFn) -> None:
    """What happens to badges besides events: Credly carries things out, a person revokes."""
    for badge in Badge.objects.order_by("pk"):
        states = (
            ["none", "issuing", "pending", "failed"]
            if badge.standing == "awarded"
            else ["pending", "failed", *["revoked"] * 4]
        )
        state = draw(st.sampled_from(states))
        live = state in ("issuing", "pending")
        others = Badge.objects.filter(learner=badge.learner, template=badge.template, value=badge.value)
        if live and others.exclude(pk=badge.pk).filter(credly_state__in=("issuing", "pending")).exists():
            continue
        was_held = state in ("pending", "revoked") or (state == "failed" and draw(st.booleans()))
        Badge.objects.filter(pk=badge.pk).update(credly_state=state, credly_id=uuid4() if was_held else None)
        if badge.standing == "revoked" or draw(st.sampled_from([False, False, False, True])):
            by = draw(st.sampled_from(["rules"] * 6 + ["operator", "credly"]))
            Badge.objects.filter(pk=badge.pk).update(standing="revoked", revoked_by=by)


@settings(PROFILE)
@given(data=st.data(), plan=any_plan, history=any_history, reaward=st.booleans())
def test_the_verdict_on_every_event_is_what_the_pipeline_then_does(data, plan, history, reaward):
    with Example():
        row = Template.objects.get(pk=configure(organization(), plan, reaward=reaward).id)
        for event in data.draw(st.just(sorted(history, key=lambda event: event.time)) | st.permutations(history)):
            if data.draw(st.booleans(), label="meddle"):
                meddle(data.draw)
            if data.draw(st.sampled_from([False, False, True]), label="add a requirement"):
                requirement(
                    row, f"later-{event.id}", *data.draw(fulfilling), group=data.draw(st.sampled_from("AC ")).strip()
                )
            before, rows = newest_badge(row, event), BadgeHistory.objects.count()
            trial = tried(row, event)
            deliver(event)
            assert really(row, event, before) == (trial.verdict if trial.verdict in EFFECTIVE else None)
            assert BadgeHistory.objects.count() - rows == (trial.verdict in EFFECTIVE)
            assert (stored(event).status == "ignored") == (trial.verdict in (Verdict.NO_MATCH, Verdict.NO_VALUE))
            assert decided(row, event) == promised(trial)


def test_a_trial_that_forgot_the_newest_event_would_be_caught(monkeypatch):
    """The control: with the latest arrival deciding in the trial alone, verdict and deed differ."""
    row, who = course_template(), LEARNERS[0]
    deliver(passing_event(who, DEMO, True, at(5)))
    old = passing_event(who, DEMO, False, at(1))
    with monkeypatch.context() as broken:
        broken.setattr("pipeline.rules.progress.supersedes", lambda new, old: True)
        trial = tried(row, old)
    before = newest_badge(row, old)
    deliver(old)
    assert (trial.verdict, really(row, old, before)) == (Verdict.REVOKED, None)
