"""The reference dump, wholly: what a peer wrote of itself, with the oddities of real sites."""

from datetime import datetime
from uuid import UUID

import pytest

from pipeline import stages
from pipeline.models import (
    Badge,
    BadgeHistory,
    Fulfillment,
    Learner,
    Organization,
    Progress,
    Signal,
    Template,
)
from pipeline.switching.cases import EPOCH
from pipeline.switching.report import Section
from tests.switching.peers import REFERENCE, imported, said

pytestmark = pytest.mark.django_db

INTRO, TWO, ONE, ARCHIVED = "Intro Course", "Two Courses", "One of Two", "Archived"


@pytest.fixture(autouse=True)
def _a_key_in_the_settings(settings) -> None:
    config = settings.BADGES_CONFIG
    keys = {"11111111-2222-4333-8444-555555555555": "the-key-of-the-settings"}
    settings.BADGES_CONFIG = config | {"credly": config["credly"] | {"ORGANIZATIONS": keys}}


def badge(username: str, template: str) -> Badge:
    return Badge.objects.get(learner__username=username, template__name=template)


def test_organizations_come_with_their_keys_and_those_of_the_settings_stay_there():
    imported(REFERENCE)
    keys = dict(Organization.objects.values_list("name", "api_key"))
    assert keys == {"Example Academy": "example-key-one", "From settings": None}


def test_templates_come_with_their_state_and_without_those_of_the_other_provider():
    imported(REFERENCE)
    rows = Template.objects.order_by("name").values_list("name", "active", "state", "organization__name", "reaward")
    assert list(rows) == [
        (ARCHIVED, False, "archived", "Example Academy", False),
        (INTRO, True, "active", "Example Academy", False),
        (ONE, False, "active", "From settings", False),
        (TWO, True, "active", "Example Academy", False),
    ]
    intro = Template.objects.get(name=INTRO)
    assert intro.uuid == UUID("3b0f2c6a-1a6e-4f29-8d53-7f0c3a5f9e21")
    assert intro.description == "Intro Course description"
    assert intro.image_url == "https://images.credly.example/3b0f2c6a-1a6e-4f29-8d53-7f0c3a5f9e21.png"


def test_requirements_and_penalties_come_with_their_groups_and_rules():
    imported(REFERENCE)
    intro, one = Template.objects.get(name=INTRO), Template.objects.get(name=ONE)
    (demo,) = intro.requirements.all()
    assert (demo.slug, demo.group, demo.description) == ("requirement-1", "A", "On the Demo course completion.")
    assert [str(rule) for rule in demo.rules.all()] == [
        "is_passing eq true",
        "course.course_key eq course-v1:OpenedX+DemoX+Demo_Course",
    ]
    (penalty,) = intro.penalties.all()
    assert (penalty.slug, list(penalty.requirements.all())) == ("penalty-1", [demo])
    assert [str(rule) for rule in penalty.rules.all()] == [
        "is_passing eq no",
        "course.course_key eq course-v1:OpenedX+DemoX+Demo_Course",
    ]
    assert [(row.slug, row.group, row.event_type.split(".")[3]) for row in one.requirements.all()] == [
        ("requirement-4", "A", "course"),
        ("requirement-5", "A", "ccx"),
    ]
    assert str(one.requirements.get(slug="requirement-5").rules.last()).startswith("course.ccx_course_key ne ")
    assert Template.objects.get(name=ARCHIVED).requirements.get().group == ""


def test_learners_are_those_with_progress_or_a_badge_and_an_lms_id():
    imported(REFERENCE)
    rows = Learner.objects.order_by("lms_user_id").values_list("lms_user_id", "username", "name")
    assert list(rows) == [
        (4711, "dana", "Dana Moe"),
        (4712, "eli", ""),
        (4713, "fay", "Fay"),
        (4714, "gus", "Gus Hall"),
        (4715, "hal", "Hal Ito"),
        (4717, "jon", "Jon Ka"),
        (4719, "lea", "Lea May"),
    ]
    assert Learner.objects.get(username="dana").email == "dana@learners.example"


@pytest.mark.parametrize(
    ("username", "template", "standing", "state", "at_credly", "is_due"),
    [
        ("dana", INTRO, "awarded", "accepted", "9a6d5c1e-3f7b-4d2a-bb1d-64f0a0c2d915", False),
        ("eli", INTRO, "awarded", "pending", "9a6d5c1e-3f7b-4d2a-bb1d-64f0a0c2d916", False),
        ("fay", INTRO, "revoked", "revoked", "9a6d5c1e-3f7b-4d2a-bb1d-64f0a0c2d917", False),
        ("gus", INTRO, "awarded", "issuing", None, True),
        ("hal", INTRO, "awarded", "issuing", None, True),
        ("fay", TWO, "revoked", "issuing", None, True),
        ("lea", TWO, "awarded", "rejected", "9a6d5c1e-3f7b-4d2a-bb1d-64f0a0c2d919", False),
    ],
)
def test_a_badge_is_what_it_was(
    username: str, template: str, standing: str, state: str, at_credly: str | None, is_due: bool
):
    imported(REFERENCE)
    row = badge(username, template)
    assert (row.standing, row.credly_state, row.due_at is not None) == (standing, state, is_due)
    assert row.credly_id == (UUID(at_credly) if at_credly else None)


def test_a_badge_keeps_its_uuid_and_times_and_its_history_says_where_it_came_from():
    imported(REFERENCE)
    row = badge("dana", INTRO)
    created = datetime.fromisoformat("2026-11-22T15:05:00.747Z")
    assert row.uuid == UUID("83985433-77b0-43da-91f9-b3119c3efde9")
    assert (row.earned_at, row.created_at) == (created, created)
    assert list(BadgeHistory.objects.filter(badge=row).values_list("what", "outcome")) == [
        (
            "taken over",
            "from openedx/credentials: awarded, accepted at Credly as 9a6d5c1e-3f7b-4d2a-bb1d-64f0a0c2d915",
        )
    ]


def test_nothing_is_told_to_the_event_bus_that_the_peer_told():
    imported(REFERENCE)
    assert not Signal.objects.exists()


def test_what_is_fulfilled_counts_as_of_the_badge_or_as_older_than_any_event():
    imported(REFERENCE)
    rows = {
        (row.progress.learner.username, row.requirement.slug): row.time
        for row in Fulfillment.objects.select_related("progress__learner", "requirement")
    }
    modified = {name: badge(name, INTRO) for name in ("dana", "eli", "gus", "hal")}
    assert {name: rows.pop((name, "requirement-1")) for name in modified} == {
        name: row.earned_at for name, row in modified.items()
    }
    assert rows.pop(("lea", "requirement-2")) == rows.pop(("lea", "requirement-3")) == badge("lea", TWO).earned_at
    assert rows == {("jon", "requirement-2"): EPOCH, ("jon", "requirement-3"): EPOCH}
    assert set(Fulfillment.objects.values_list("fulfilled", flat=True)) == {True}
    assert Progress.objects.count() == 7


def test_whatever_is_not_taken_over_is_listed_with_label_key_and_reason():
    report = imported(REFERENCE)
    other = "It belongs to badges.badgetemplate 5, which is not taken over."
    accredible = "It belongs to Accredible; this project issues badges at Credly only."
    no_id = "Its user, core.user 7, has no LMS user id."
    assert said(report, Section.LEFT_OUT) == {
        ("badges.badgetemplate", 5): "Its origin is accredible; this project issues badges at Credly only.",
        ("badges.badgerequirement", 7): other,
        ("badges.datarule", 12): other,
        ("badges.badgeprogress", 6): no_id,
        ("badges.badgeprogress", 9): "Its template was deleted at the peer.",
        ("badges.badgeprogress", 11): "Its username is that of no core.user.",
        ("badges.badgeprogress", 12): other,
        ("badges.fulfillment", 5): "It belongs to badges.badgeprogress 6, which is not taken over.",
        ("badges.fulfillment", 10): "It belongs to badges.badgeprogress 11, which is not taken over.",
        ("badges.fulfillment", 11): "It belongs to badges.badgeprogress 12, which is not taken over.",
        ("badges.credlybadge", 6): no_id,
        ("badges.accredibleapiconfig", 1): accredible,
        ("badges.accrediblegroup", 5): accredible,
        ("badges.accrediblebadge", 9): accredible,
    }


def test_what_is_due_afterwards_is_what_the_report_says():
    report = imported(REFERENCE)
    assert set(said(report, Section.ASKED)) == {("badges.credlybadge", pk) for pk in (4, 5, 8)}
    due = stages.due()
    names = Badge.objects.filter(pk__in=due.badges).values_list("learner__username", "template__name")
    assert sorted(names) == [("fay", TWO), ("gus", INTRO), ("hal", INTRO)]
    assert (due.events, due.signals, due.webhooks) == ([], [], [])


def test_merged_progress_and_what_means_something_else_is_told():
    report = imported(REFERENCE)
    noted = said(report, Section.NOTED)
    assert noted.keys() == {("badges.badgeprogress", 7), ("badges.badgeprogress", 8)}
    assert "the same learner and template as badges.badgeprogress 7" in noted["badges.badgeprogress", 8]
    assert noted["badges.badgeprogress", 7].startswith("Complete by the rules here, but the peer has no badge of it.")
    templates = said(report, Section.TEMPLATES)
    assert templates.keys() == {("badges.badgetemplate", pk) for pk in (2, 3, 4)}
    assert templates["badges.badgetemplate", 2].startswith("It has several groups")
    assert "an event without course.ccx_course_key matches it too" in templates["badges.badgetemplate", 3]
    assert templates["badges.badgetemplate", 4].startswith("Requirement 6 has no rule: at the peer it never matched")


def test_the_lms_ids_of_the_lms_itself_bring_the_others_too():
    report = imported(REFERENCE, ida=4716, mia=4720)
    row = badge("ida", TWO)
    assert (row.learner.lms_user_id, row.standing, row.credly_state) == (4716, "awarded", "pending")
    noted = said(report, Section.NOTED)
    assert noted["badges.credlybadge", 6].startswith("Awarded at the peer, but not complete by the rules here.")
    mia = Learner.objects.get(username="mia")
    assert (mia.lms_user_id, mia.email, mia.as_of) == (4720, "", EPOCH)
    assert noted["badges.badgeprogress", 11].startswith("Complete by the rules here")
    left = {label for label, pk in said(report, Section.LEFT_OUT) if pk in (6, 11) and label.endswith("progress")}
    assert left == set()


def test_the_report_names_nobody_and_no_key():
    text = "\n".join(imported(REFERENCE).lines())
    content = REFERENCE.read_text()
    for private in ("dana", "ida", "jon", "mia", "Gus Hall", "learners.example", "example-key"):
        assert private in content
        assert private not in text


def test_a_second_run_has_nothing_to_do():
    assert not imported(REFERENCE).is_done
    report = imported(REFERENCE)
    assert report.is_done
    assert report.summary(dry_run=False) == "Nothing to do: whatever can be taken over is here."
    assert not said(report, Section.ASKED)
    assert not said(report, Section.DIFFERS)


def test_a_dry_run_reports_the_same_and_changes_nothing():
    trial = imported(REFERENCE, dry_run=True)
    assert not Organization.objects.exists()
    assert not Learner.objects.exists()
    report = imported(REFERENCE)
    assert list(trial.lines()) == list(report.lines())
    assert trial.summary(dry_run=True).removeprefix("Would be written") == report.summary(dry_run=False).removeprefix(
        "Written"
    )
