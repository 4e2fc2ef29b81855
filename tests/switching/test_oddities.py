"""Each oddity of a peer, alone: how it is taken over, and what the report says of it."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.utils import timezone

from pipeline.models import Badge, Fulfillment, Learner, Organization, Requirement, Template
from pipeline.switching import people
from pipeline.switching.report import Report, Section
from tests.ledgers import builders
from tests.switching.peers import PeerDump, entries, imported, said

pytestmark = pytest.mark.django_db


@pytest.fixture
def switch(dump: PeerDump, tmp_path: Path):
    def take_over(**lms_ids: int) -> Report:
        return imported(dump.write(tmp_path / "peer.json"), **lms_ids)

    return take_over


def test_a_user_without_progress_or_badge_is_no_learner(dump: PeerDump, switch):
    dump.course_template()
    dump.user()
    switch()
    assert not Learner.objects.exists()


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"full_name": "Dana Moe"}, "Dana Moe"),
        ({"full_name": None, "first_name": "Dana", "last_name": "Moe"}, "Dana Moe"),
        ({"full_name": "", "first_name": "Dana"}, "Dana"),
        ({"full_name": None}, ""),
    ],
)
def test_the_name_is_the_full_name_else_first_and_last(dump: PeerDump, switch, fields: dict[str, str], name: str):
    template, demo = dump.course_template()
    dump.user(**fields)
    dump.progress("dana", template, demo)
    switch()
    assert Learner.objects.get().name == name


def test_two_users_of_one_lms_id_are_one_learner(dump: PeerDump, switch):
    template = dump.course_template()
    dump.holder(template, "dana", 4711)
    other = dump.user("dana_moe", 4711)
    dump.progress("dana_moe", *template)
    report = switch()
    assert Learner.objects.count() == Fulfillment.objects.count() == 1
    assert ("core.user", other) in said(report, Section.NOTED)


def test_of_two_users_of_one_lms_id_the_same_one_names_the_learner_each_time(
    dump: PeerDump, switch, monkeypatch: pytest.MonkeyPatch
):
    """Also if their rows are written in different chunks."""
    monkeypatch.setattr(people, "AT_ONCE", 1)
    owner = dump.organization()
    first, second = dump.course_template(owner), dump.course_template(owner)
    dump.holder(second, "dana_moe", 4711)
    dump.user("dana", 4711)
    dump.progress("dana", *first)
    switch()
    assert Learner.objects.get().username == "dana_moe"
    assert switch().is_done


def test_an_lms_id_that_the_file_and_the_user_disagree_about_is_left_out(dump: PeerDump, switch):
    pk = dump.holder(dump.course_template())
    report = switch(dana=9)
    assert "another LMS user id than --lms-ids says" in said(report, Section.LEFT_OUT)["badges.credlybadge", pk]
    assert not Learner.objects.exists()


def test_of_two_badges_of_one_learner_the_one_that_credly_holds_is_taken(dump: PeerDump, switch):
    template = dump.course_template()
    dump.user()
    failed = dump.badge("dana", template[0], "error")
    held = uuid4()
    dump.badge("dana", template[0], "accepted", held)
    revoked = dump.badge("dana", template[0], "revoked", uuid4(), status="revoked")
    report = switch()
    assert Badge.objects.get().credly_id == held
    assert {pk for label, pk in said(report, Section.LEFT_OUT) if label == "badges.credlybadge"} == {failed, revoked}


def test_of_two_badges_of_one_id_at_credly_one_is_taken(dump: PeerDump, switch):
    template, held = dump.course_template(), uuid4()
    first = dump.holder(template, "dana", 4711, credly_id=held)
    second = dump.holder(template, "eli", 4712, credly_id=held)
    report = switch()
    assert Badge.objects.get().learner.username == "dana"
    assert said(report, Section.LEFT_OUT) == {
        ("badges.credlybadge", second): f"At Credly it is the same as badges.credlybadge {first}."
    }


def test_an_id_at_credly_that_another_badge_here_has_is_left_out(dump: PeerDump, switch):
    held = uuid4()
    builders.badge(credly_id=held, credly_state="pending", due_at=None)
    pk = dump.holder(dump.course_template(), credly_id=held)
    report = switch()
    assert Badge.objects.count() == 1
    assert ("badges.credlybadge", pk) in said(report, Section.LEFT_OUT)


@pytest.mark.parametrize("state", ["created", "no_response", "error", "expired"])
def test_a_state_that_is_the_peers_own_counts_as_pending_where_credly_gave_an_id(dump: PeerDump, switch, state: str):
    pk = dump.holder(dump.course_template(), state=state)
    report = switch()
    row = Badge.objects.get()
    assert (row.standing, row.credly_state, row.due_at) == ("awarded", "pending", None)
    assert said(report, Section.NOTED)["badges.credlybadge", pk].startswith(state)


@pytest.mark.parametrize("state", ["pending", "accepted", "rejected", "expired", "created", "error", "no_response"])
@pytest.mark.parametrize("status", ["awarded", "revoked"])
def test_without_an_id_credly_is_looked_at_and_never_issued_blind(dump: PeerDump, switch, state: str, status: str):
    pk = dump.holder(dump.course_template(), state=state, status=status, credly_id=None)
    report = switch()
    row = Badge.objects.get()
    assert (row.standing, row.credly_state, row.due_at is None) == (status, "issuing", False)
    assert ("badges.credlybadge", pk) in said(report, Section.ASKED)


def test_a_fulfillment_whose_requirement_was_deleted_is_left_out(dump: PeerDump, switch):
    template, _ = dump.course_template()
    dump.user()
    dump.progress("dana", template, None)
    report = switch()
    assert "Its requirement was deleted at the peer." in said(report, Section.LEFT_OUT).values()
    assert not Fulfillment.objects.exists()


def test_a_fulfillment_of_another_templates_requirement_is_left_out(dump: PeerDump, switch):
    owner = dump.organization()
    first, second = dump.course_template(owner), dump.course_template(owner)
    dump.user()
    dump.progress("dana", first[0], second[1])
    report = switch()
    assert any("another template than its requirement" in reason for reason in said(report, Section.LEFT_OUT).values())
    assert not Fulfillment.objects.exists()


def test_a_badge_from_the_future_counts_as_of_now(dump: PeerDump, switch):
    """The peer's clock went wrong: no event must wait until then to count."""
    future = (timezone.now() + timedelta(days=365)).isoformat()
    dump.holder(dump.course_template(), created=future, modified=future)
    switch()
    assert Badge.objects.get().earned_at <= timezone.now()
    assert Fulfillment.objects.get().time <= timezone.now()


@pytest.mark.parametrize("origin", ["accredible", "openedx"])
def test_templates_of_other_origins_stay_behind_with_all_that_is_theirs(dump: PeerDump, switch, origin: str):
    dump.organization()
    template, demo = dump.course_template(provider=origin)
    dump.user()
    dump.progress("dana", template, demo)
    report = switch()
    assert not Template.objects.exists()
    labels = [label for label, _ in said(report, Section.LEFT_OUT)]
    assert sorted(labels) == sorted(
        [
            "badges.badgetemplate",
            "badges.badgerequirement",
            *["badges.datarule"] * 2,
            "badges.badgepenalty",
            *["badges.penaltydatarule"] * 2,
            "badges.badgeprogress",
            "badges.fulfillment",
        ]
    )


def templates_told(report: Report) -> str:
    return "\n".join(entry.reason for entry in entries(report, "badges.badgetemplate"))


def test_a_requirement_without_a_rule_keeps_its_template_from_being_active(dump: PeerDump, switch):
    """At the peer it never matched: here it would award the badge to everybody."""
    template = dump.template()
    pk = dump.requirement(template)
    report = switch()
    assert not Template.objects.get().active
    assert f"Requirement {pk} has no rule: at the peer it never matched" in templates_told(report)


def test_an_active_template_without_requirement_or_of_another_state_is_not_active_here(dump: PeerDump, switch):
    owner = dump.organization()
    dump.template(owner, name="Empty")
    dump.course_template(owner, name="Draft", state="draft")
    report = switch()
    assert not Template.objects.filter(active=True).exists()
    told = templates_told(report)
    assert "It has no requirement." in told
    assert "At Credly the template is not active but in the state “draft”." in told


def test_requirements_without_a_group_are_told_to_be_needed_each(dump: PeerDump, switch):
    template = dump.template()
    passed = ("is_passing", "eq", "true")
    pks = [dump.requirement(template, passed, blend=None) for _ in range(2)]
    told = templates_told(switch())
    assert f"Requirements {pks[0]}, {pks[1]} have no group: the peer took them as alternatives" in told
    assert set(Requirement.objects.values_list("group", flat=True)) == {""}


def test_a_penalty_on_one_of_several_alternatives_is_told(dump: PeerDump, switch):
    template = dump.template()
    passed = ("is_passing", "eq", "true")
    first, _ = dump.requirement(template, passed), dump.requirement(template, passed)
    dump.penalty(template, [first], ("is_passing", "eq", "false"))
    assert "A penalty resets one of several alternatives" in templates_told(switch())


def test_a_template_that_means_the_same_here_is_not_told(dump: PeerDump, switch):
    dump.course_template()
    report = switch()
    assert templates_told(report) == ""
    assert Template.objects.get().active


def test_what_speaks_against_an_active_template_is_told(dump: PeerDump, switch):
    template = dump.template()
    dump.requirement(template, ("is_passed", "eq", "true"))
    pk = dump.penalty(template, [], ("is_passing", "eq", "false"))
    told = templates_told(switch())
    assert "“is_passed” is no key path" in told
    assert f"Penalty “penalty-{pk}”: It takes back no requirement." in told
    assert not Template.objects.get().active


@pytest.mark.parametrize(
    ("path", "value"), [("data.course.course_key", "x"), ("is_passed", "true"), ("is_passing", "perhaps")]
)
def test_a_template_whose_requirement_can_never_be_met_is_not_active(dump: PeerDump, switch, path: str, value: str):
    _, demo = dump.course_template()
    dump.add("badges.datarule", requirement=demo, data_path=path, operator="eq", value=value)
    told = templates_told(switch())
    assert "It is active at the peer, and not here." in told
    assert path in told
    assert not Template.objects.get().active


def test_a_rule_with_another_operator_is_left_out_and_its_template_not_active(dump: PeerDump, switch):
    template, demo = dump.course_template(name="Odd")
    dump.holder((template, demo))
    dump.course_template(name="Other")
    greater = dump.add("badges.datarule", requirement=demo, data_path="grade.percent", operator="gt", value="80")
    below = dump.penalty(template, [demo], ("is_passing", "lt", "true"))
    report = switch()
    left, told = said(report, Section.LEFT_OUT), templates_told(report)
    assert left["badges.datarule", greater] == "Its operator is neither eq nor ne."
    assert {label for label, _ in left} == {"badges.datarule", "badges.penaltydatarule"}
    assert f"Rule {greater} of requirement {demo} has another operator than eq and ne: it is left out." in told
    assert f"of penalty {below} has another operator" in told
    assert dict(Template.objects.values_list("name", "active")) == {"Odd": False, "Other": True}
    assert Requirement.objects.get(template__name="Odd").rules.count() == 2
    assert Badge.objects.get().credly_state == "accepted"
    assert switch().is_done


@pytest.mark.parametrize("blend", ["a", "AA", "1"])
def test_a_requirement_whose_group_is_no_letter_has_none_and_its_template_is_not_active(
    dump: PeerDump, switch, blend: str
):
    template = dump.template()
    pk = dump.requirement(template, ("is_passing", "eq", "true"), blend=blend)
    told = templates_told(switch())
    assert f"The group of requirement {pk} is no letter from A to Z: here it has none." in told
    assert Requirement.objects.get().group == ""
    assert not Template.objects.get().active


def test_a_template_of_an_unknown_state_counts_as_a_draft(dump: PeerDump, switch):
    dump.course_template(state="retired")
    told = templates_told(switch())
    assert "Its state at the peer is none that is known here: it counts as a draft until it is synced." in told
    row = Template.objects.get()
    assert (row.state, row.active) == ("draft", False)


def test_a_badge_that_is_neither_awarded_nor_revoked_is_left_out(dump: PeerDump, switch):
    pk = dump.holder(dump.course_template(), status="lost")
    report = switch()
    (entry,) = [entry for entry in report.entries if (entry.section, entry.pk) == (Section.LEFT_OUT, pk)]
    assert entry.reason == "It is neither awarded nor revoked at the peer."
    assert entry.advice.endswith("only Credly's own refusal of duplicates prevents a second badge.")
    assert not Badge.objects.exists()


def test_what_is_odd_in_a_template_that_is_not_active_is_told_too(dump: PeerDump, switch):
    template = dump.template(is_active=False)
    pk = dump.requirement(template, ("is_passing", "gt", "true"), blend="a")
    told = templates_told(switch())
    assert f"The group of requirement {pk} is no letter from A to Z" in told
    assert f"of requirement {pk} has another operator" in told


def test_a_penalty_on_another_templates_requirement_does_without_it(dump: PeerDump, switch):
    owner = dump.organization()
    first, second = dump.course_template(owner), dump.course_template(owner)
    pk = dump.penalty(first[0], [first[1], second[1]], ("is_passing", "eq", "false"))
    told = templates_told(switch())
    assert f"Penalty {pk} also reset requirements of other templates" in told


def test_templates_of_several_sites_are_told(dump: PeerDump, switch):
    owner = dump.organization()
    dump.course_template(owner, site=1)
    dump.course_template(owner, site=2)
    told = templates_told(switch())
    assert "It belongs to site 1 of 2" in told
    assert "It belongs to site 2 of 2" in told


def test_an_icon_that_is_no_web_address_is_dropped(dump: PeerDump, switch):
    dump.course_template(icon="badge_templates/icons/i.png")
    assert "Its icon is no web address, and is left out." in templates_told(switch())
    assert Template.objects.get().image_url == ""


def test_an_organization_whose_key_is_nowhere_is_told(dump: PeerDump, switch):
    pk = dump.organization(api_key="")
    report = switch()
    assert Organization.objects.get().api_key is None
    assert "no API key" in said(report, Section.NOTED)["badges.credlyorganization", pk]


def test_many_alike_are_one_line_and_all_in_the_data(dump: PeerDump, switch):
    dump.course_template()
    dump.user()
    for _ in range(30):
        dump.progress("dana", None)
    report = switch()
    (line,) = [line for line in report.lines() if "badges.badgeprogress" in line]
    assert "and 10 more: Its template was deleted at the peer." in line
    assert len(report.as_data(dry_run=False)["left_out"]) == 30
