"""Many of one badge: a template with `per`, of which a learner holds one badge at Credly for each course passed.

Credly can't tell these badges from one another, and refuses no second one.
"""

import random
from collections.abc import Callable
from uuid import UUID

import pytest
from django.utils import timezone

from pipeline import stages
from pipeline.ledgers import holdings, siblings
from pipeline.ledgers.holdings import Claim, Done
from pipeline.lms.events import LmsLearner
from pipeline.models import Badge, Organization
from tests.credly.emulated_credly import EmulatedCredly
from tests.ledgers import builders
from tests.ledgers.builders import FAILED, PASSED, claimed, deliver, fails, lms_learner, make_due, passes, signals
from tests.stages.conftest import Site, issue
from tests.stages.credly_events import act, handle, state, told
from tests.stages.reconciling import at_credly, found, issued_by_a_late_worker, repair

pytestmark = pytest.mark.django_db

COURSES = [f"course-v1:OpenedX+Many{number}+2026" for number in range(5)]
LOST, WITHOUT_EFFECT = "reset-after-success", "reset-before"


def make_per_site(emulator: EmulatedCredly, *, allow_duplicates: bool) -> Site:
    """Its template gives a badge for each course passed; failing a course takes back that of this course."""
    academy = emulator.academy({"allow_duplicate_badges": allow_duplicates})
    organization = builders.organization(uuid=academy.organization, api_key=academy.key)
    template = builders.template(
        organization,
        uuid=academy.template,
        reaward=True,
        per="course.course_key",
        allows_duplicates=allow_duplicates,
    )
    any_course = builders.requirement(template, "any", PASSED)
    builders.penalty(template, "failed", [any_course], FAILED)
    return Site(emulator, academy, organization, template)


@pytest.fixture
def many(db: None, credly: EmulatedCredly) -> Site:
    return make_per_site(credly, allow_duplicates=True)


@pytest.fixture
def strict(db: None, credly: EmulatedCredly) -> Site:
    """Of its template Credly lets a learner hold one badge only."""
    return make_per_site(credly, allow_duplicates=False)


def badges(*courses: str) -> list[Badge]:
    """The newest badge of each of these courses; of all without any."""
    rows = {row.value: row for row in Badge.objects.select_related("learner", "template").order_by("cycle")}
    return [rows[course] for course in courses or COURSES]


def earned(*courses: str) -> list[Badge]:
    """One learner passes these courses; their badges, due to be issued."""
    who = lms_learner()
    deliver(*(passes(who, 1, course) for course in courses))
    return badges(*courses)


def held(*courses: str) -> list[Badge]:
    """The same, issued."""
    earned(*courses)
    work_off()
    return badges(*courses)


def earned_by(of: Badge, course: str) -> Badge:
    """The badge's learner passes one more course."""
    who = of.learner
    deliver(passes(LmsLearner(who.lms_user_id, who.username, who.email, who.name), 5, course))
    return badges(course)[0]


def work_off(pick: Callable[[list[Badge]], Badge] = lambda due: due[0], steps: int = 200) -> None:
    """Steps, the time passing for whom `pick` chooses, until nothing is left to do or `steps` are made."""
    for _ in range(steps):
        due = list(Badge.objects.filter(due_at__isnull=False).order_by("pk"))
        if not due:
            return
        Organization.objects.update(call_again_at=None, gate_reason="")
        row = pick(due)
        make_due(row)
        stages.issue(row.pk)


def live_ids(site: Site) -> list[str]:
    return sorted(row["id"] for row in site.live())


def assert_exactly(site: Site, *courses: str) -> None:
    """Credly holds a badge for each of these courses and no other, each is another's, and the signals say so."""
    awarded = Badge.objects.filter(standing="awarded")
    assert sorted(awarded.values_list("value", flat=True)) == sorted(courses)
    assert sorted(str(row.credly_id) for row in awarded) == live_ids(site)
    for row in Badge.objects.exclude(revoked_by="extra"):
        told_of_it = signals(row)
        assert told_of_it == (["awarded"] if row.standing == "awarded" else ["awarded", "revoked"][: len(told_of_it)])
        assert row.standing == "awarded" or told_of_it != ["awarded"]


def test_a_learner_who_passes_five_courses_at_once_holds_five_badges_of_one_template(many):
    earned(*COURSES)
    work_off()
    assert_exactly(many, *COURSES)
    assert len(many.calls()) == 5


def test_each_badge_is_revoked_by_its_own_course_only(many):
    who = lms_learner()
    deliver(*(passes(who, 1, course) for course in COURSES))
    work_off()
    before = {row.value: str(row.credly_id) for row in badges()}
    deliver(fails(who, 2, COURSES[1]), fails(who, 3, COURSES[4]))
    work_off()
    assert_exactly(many, COURSES[0], COURSES[2], COURSES[3])
    assert [at_credly(many, before[course]) for course in (COURSES[1], COURSES[4])] == ["revoked", "revoked"]
    deliver(passes(who, 4, COURSES[1]))
    work_off()
    assert_exactly(many, *COURSES[:4])
    assert Badge.objects.get(value=COURSES[1], cycle=2).credly_state == "pending"


def test_while_one_is_being_issued_the_others_wait_and_then_the_next_is_due(many):
    first, second, third = earned(*COURSES[:3])
    claim = claimed(first)
    for row in (second, third):
        assert issue(row).signals == []
        assert (row.credly_state, row.due_at > timezone.now()) == ("none", True)
        assert row.error == "Waits until Credly has answered about another badge of the learner's."
    done = answered(claim, issued_by_a_late_worker(many, first))
    assert done.badges == [second.pk]
    second.refresh_from_db()
    assert second.due_at <= timezone.now()


def answered(claim: Claim, credly_id: UUID) -> Done:
    """Credly's answer to the call that is out."""
    return holdings.held(claim, credly_id, holdings.CredlyState.PENDING, "issued")


@pytest.mark.parametrize("fault", [LOST, WITHOUT_EFFECT])
@pytest.mark.parametrize("place", range(5))
def test_a_lost_answer_about_one_of_five_ends_in_five_and_never_six(many, fault, place):
    earned(*COURSES)
    rows = badges()
    for row in rows[:place]:
        issue(row)
    many.fault(fault, times=1)
    issue(rows[place])
    work_off(random.Random(place).choice)
    assert_exactly(many, *COURSES)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_lost_and_whoever_comes_first_credly_ends_with_exactly_the_badges_that_are_earned(many, seed):
    draw = random.Random(seed)
    who = lms_learner()
    passing: dict[str, bool] = {}
    for minute in range(draw.randint(5, 12)):
        course = draw.choice(COURSES)
        passing[course] = draw.random() < 0.7
        deliver((passes if passing[course] else fails)(who, minute, course))
        fault = draw.choice([None, LOST, WITHOUT_EFFECT, "429", "500"])
        for method in ("POST", "PUT") if fault else ():
            many.fault(fault, method=method, times=draw.randint(1, 2))
        work_off(draw.choice, steps=draw.randint(0, 4))
        many.heal()
    work_off(draw.choice)
    assert_exactly(many, *(course for course, passed in passing.items() if passed))


def a_badge_given_up_while_another_is_on_its_way(site: Site) -> Badge:
    """Its own call had no effect; that for another course had, and its answer is still to come when we look."""
    who = lms_learner()
    deliver(*(passes(who, 1, course) for course in COURSES[:2]))
    given_up, other = badges(*COURSES[:2])
    site.fault(WITHOUT_EFFECT, times=1)
    issue(given_up)
    deliver(fails(who, 2, COURSES[0]))
    Badge.objects.filter(pk=given_up.pk).update(credly_state="none")  # for the claim of the other
    claim = claimed(other)
    Badge.objects.filter(pk=given_up.pk).update(credly_state="issuing")
    answer = issued_by_a_late_worker(site, other)
    issue(given_up)
    answered(claim, answer)
    work_off()
    return given_up


def test_what_was_given_up_is_not_mistaken_for_another_that_is_on_its_way(many):
    given_up = a_badge_given_up_while_another_is_on_its_way(many)
    assert_exactly(many, COURSES[1])
    assert (signals(given_up), len(many.ledger())) == ([], 1)


def test_control_without_waiting_for_another_it_would_be(many, monkeypatch):
    monkeypatch.setattr(siblings, "another_is_being_issued", lambda badge: False)
    given_up = a_badge_given_up_while_another_is_on_its_way(many)
    assert (signals(given_up), len(many.ledger())) == (["awarded", "revoked"], 2)


def test_where_credly_allows_no_duplicates_the_second_fails_with_words_and_can_be_mended(strict):
    earned(*COURSES[:2])
    work_off()
    first, second = badges(*COURSES[:2])
    assert (first.credly_state, second.credly_state, second.due_at) == ("pending", "failed", None)
    assert second.error.startswith(
        "Credly does not let a learner hold this badge twice: allow duplicates for the template at Credly, then retry."
    )
    assert (len(strict.live()), signals(second)) == (1, [])
    strict.academy.call("PUT", f"/badge_templates/{strict.academy.template}", json={"allow_duplicate_badges": True})
    assert holdings.redrive(second)
    work_off()
    assert_exactly(strict, *COURSES[:2])


def test_reconciliation_finds_nothing_wrong_with_several_live_badges_of_one_template(many):
    held(*COURSES)
    assert found(many) == []


def test_reconciliation_finds_an_extra_one_beside_several_and_its_repair_revokes_only_that(many):
    rows = held(*COURSES)
    extra = issued_by_a_late_worker(many, rows[0])
    assert found(many) == [("extra", "pending at Credly beside the learner's own")]
    repair(many)
    assert at_credly(many, extra) == "revoked"
    assert found(many) == []
    assert_exactly(many, *COURSES)


def test_one_that_was_issued_after_all_belongs_to_the_badge_that_failed_and_is_not_extra(many):
    rows = held(*COURSES[:3])
    Badge.objects.filter(pk=rows[0].pk).update(credly_state="failed", credly_id=None)
    assert found(many) == [("different", "pending at Credly, failed here")]
    repair(many)
    assert_exactly(many, *COURSES[:3])
    assert found(many) == []


def test_an_extra_one_is_not_revoked_while_another_badge_of_the_learner_is_on_its_way(many):
    rows = held(*COURSES[:2])
    issued_by_a_late_worker(many, rows[0])
    assert len(found(many)) == 1
    earned_by(rows[0], COURSES[3])
    [repaired] = repair(many)
    assert repaired.refusal == "The learner's badges changed since."


@pytest.mark.parametrize("place", range(3))
def test_what_is_revoked_at_credly_ends_that_badge_alone(many, place):
    rows = held(*COURSES[:3])
    act(many, rows[place], "revoke")
    told(many, "badge.state.changed")
    assert state(rows[place]) == ("revoked", "credly", "revoked")
    assert [signals(row) for row in rows if row != rows[place]] == [["awarded"], ["awarded"]]
    assert found(many) == []


def test_a_badge_deleted_at_credly_is_not_taken_for_replaced_by_one_that_is_being_issued(many):
    first = held(*COURSES[:2])[0]
    act(many, first, "delete")
    third = earned_by(first, COURSES[2])
    many.fault(LOST, times=1)
    issue(third)
    waiting = told(many, "badge.deleted")
    assert (waiting.state, "that is being issued" in waiting.error) == ("waiting", True)
    work_off()
    handle(waiting)
    assert waiting.state == "handled"
    assert state(first) == ("revoked", "credly", "revoked")
    assert_exactly(many, *COURSES[1:3])
