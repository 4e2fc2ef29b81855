"""Taking over while events have been at work here already: beside the peer, or from a newer dump."""

from uuid import uuid4

import pytest

from pipeline import stages
from pipeline.ledgers import observations
from pipeline.models import Badge, CredlyState, Fulfillment, Learner, Organization, Requirement, Template
from pipeline.switching.organizations import KeyThere
from pipeline.switching.report import Section, Written
from tests.ledgers import builders
from tests.ledgers.builders import at, deliver, fails, passes
from tests.switching.conftest import OldSite, work_off
from tests.switching.peers import imported, said

pytestmark = pytest.mark.django_db

AFTER = 90


@pytest.fixture
def switch(site: OldSite, tmp_path):
    def take_over(**how: bool):
        return imported(site.dump.write(tmp_path / "peer.json"), **how)

    return take_over


def test_a_badge_that_events_opened_here_gets_the_id_that_the_peer_knows(site: OldSite, switch):
    switch()
    (badge,) = deliver(passes(site.dana, AFTER))
    peers, credly_id = uuid4(), site.issued()
    site.dump.holder(site.template, state="accepted", credly_id=credly_id, uuid=str(peers))
    report = switch()
    row = Badge.objects.get()
    assert (row.pk, row.uuid, row.credly_id, row.credly_state) == (badge, peers, credly_id, "accepted")
    assert work_off() == []
    assert site.calls_to_issue() == 0
    assert report.written[Written.ADOPTED] == 1
    assert switch().is_done


def test_beside_the_peer_nothing_calls_credly_until_the_keys_come(site: OldSite, switch):
    switch(with_keys=False)
    site.dump.holder(site.template, "eli", 4712, state="error", credly_id=None)
    switch(with_keys=False)
    assert len(deliver(passes(site.dana, AFTER))) == 1
    for pk in stages.due().badges:
        stages.issue(pk)
    assert site.emulator.requests(organization=site.academy.organization) == []
    assert not Badge.objects.exclude(credly_id=None).exists()
    credly_id = site.issued()
    site.dump.holder(site.template, state="pending", credly_id=credly_id)
    report = switch()
    row = Organization.objects.get()
    assert "api_key: changed" in "\n".join(report.lines())
    stages.note_key(row)
    work_off()
    dana = Badge.objects.get(learner__username="dana")
    assert (dana.credly_id, dana.credly_state) == (credly_id, "pending")
    assert [state for _, state in site.at_credly()] == ["pending", "pending"]
    assert site.calls_to_issue() == 1


def test_without_keys_is_refused_where_a_key_is_here_all_the_same(site: OldSite, switch, settings):
    credly = settings.BADGES_CONFIG["credly"]
    in_settings = {"ORGANIZATIONS": {site.academy.organization: site.academy.key}}
    settings.BADGES_CONFIG = settings.BADGES_CONFIG | {"credly": credly | in_settings}
    with pytest.raises(KeyThere, match=f"an API key of {site.academy.organization}: take it out of") as refusal:
        switch(with_keys=False)
    assert site.academy.key not in str(refusal.value)
    assert not Template.objects.exists()
    settings.BADGES_CONFIG = settings.BADGES_CONFIG | {"credly": credly}
    switch(with_keys=False)
    Organization.objects.update(api_key=site.academy.key)
    with pytest.raises(KeyThere):
        switch(with_keys=False, dry_run=True)


def test_a_badge_that_the_peer_revoked_meanwhile_is_revoked_here(site: OldSite, switch):
    switch()
    deliver(passes(site.dana, AFTER))
    site.dump.user()
    site.dump.badge("dana", site.template[0], "revoked", uuid4(), status="revoked")
    switch()
    row = Badge.objects.get()
    assert (row.standing, row.credly_state, row.due_at) == ("revoked", "revoked", None)


def test_a_badge_that_events_took_back_here_is_revoked_at_credly_and_the_report_says_so(site: OldSite, switch):
    switch()
    deliver(passes(site.dana, AFTER), fails(site.dana, AFTER + 1))
    work_off()
    credly_id = site.issued()
    pk = site.dump.holder(site.template, state="pending", credly_id=credly_id)
    report = switch()
    assert said(report, Section.ASKED).keys() == {("badges.credlybadge", pk)}
    work_off()
    assert site.at_credly() == [(str(credly_id), "revoked")]
    (row,) = Badge.objects.all()
    assert row.revoked_by == "rules"


def test_what_events_awarded_here_alone_is_looked_up_before_it_is_issued(site: OldSite, switch):
    """The peer lost the answer, or its process died: Credly holds a badge that nobody knows."""
    switch()
    deliver(passes(site.dana, AFTER))
    credly_id = site.issued()
    report = switch()
    row = Badge.objects.get()
    assert said(report, Section.ASKED).keys() == {("badge", str(row.uuid))}
    assert said(report, Section.DIFFERS) == {
        ("badge", str(row.uuid)): "awarded here; the peer has none.",
        ("learner", row.learner_id): f"An event fulfilled requirement-{site.template[1]} here; at the peer it is not "
        "fulfilled.",
    }
    work_off()
    assert site.at_credly() == [(str(credly_id), "pending")]
    assert site.calls_to_issue() == 0


def test_a_badge_with_a_call_out_is_left_alone(site: OldSite, switch):
    switch()
    (pk,) = deliver(passes(site.dana, AFTER))
    builders.claimed(Badge.objects.get(pk=pk))
    site.dump.holder(site.template)
    switch()
    assert Badge.objects.get().credly_id is None


def test_what_an_event_decided_here_stays_and_is_told(site: OldSite, switch):
    switch()
    deliver(passes(site.dana, AFTER), fails(site.dana, AFTER + 1))
    site.dump.user()
    site.dump.progress("dana", *site.template)
    report = switch()
    assert not Fulfillment.objects.get().fulfilled
    assert list(said(report, Section.DIFFERS).values()) == [
        "Fulfilled at the peer; a newer event took it back here.",
        "revoked here; the peer has none.",
    ]


def test_the_standings_are_compared(site: OldSite, switch):
    pk = site.dump.holder(site.template)
    switch()
    deliver(fails(site.dana, AFTER))
    assert said(switch(), Section.DIFFERS) == {
        ("badges.credlybadge", pk): "awarded at the peer, revoked here.",
        ("badges.fulfillment", site.dump.records[-3]["pk"]): "Fulfilled at the peer; a newer event took it back here.",
    }


def test_two_different_badges_at_credly_are_told_and_ours_stays(site: OldSite, switch):
    pk = site.dump.holder(site.template, state="pending", credly_id=uuid4())
    switch()
    here = uuid4()
    assert observations.replaced(Badge.objects.get(), here, CredlyState.PENDING, "webhook")
    report = switch()
    assert f"the learner's badge here is {here}" in said(report, Section.DIFFERS)["badges.credlybadge", pk]
    assert Badge.objects.get().credly_id == here


def test_a_newer_dump_brings_what_came_since(site: OldSite, switch):
    site.dump.holder(site.template)
    switch()
    site.dump.holder(site.template, "eli", 4712, state="rejected")
    report = switch()
    assert report.summary(dry_run=False) == ("Written: 1 learners, 1 progress records, 1 fulfillments, 1 badges.")
    assert switch().is_done


def test_a_template_that_a_sync_brought_gets_the_peers_rules(site: OldSite, switch):
    owner = builders.organization(uuid=site.academy.organization, api_key=site.academy.key)
    row = builders.template(owner, uuid=site.academy.template, active=False, name="As at Credly")
    site.dump.holder(site.template)
    report = switch()
    row.refresh_from_db()
    assert (row.name, row.active, row.requirements.count(), row.penalties.count()) == ("As at Credly", True, 1, 1)
    assert "gets 1 requirement(s) and 1 penalty(ies), active false -> true" in "\n".join(report.lines())
    assert switch().is_done


def test_a_template_that_was_configured_here_stays_and_what_was_fulfilled_counts_for_what_is_alike(
    site: OldSite, switch
):
    owner = builders.organization(uuid=site.academy.organization, api_key=site.academy.key)
    row = builders.course_template(owner, uuid=site.academy.template, active=False)
    row.requirements.update(group="A")
    site.dump.holder(site.template)
    report = switch()
    row.refresh_from_db()
    assert [requirement.slug for requirement in row.requirements.all()] == ["demo"]
    assert not row.active
    assert Fulfillment.objects.get().requirement.slug == "demo"
    assert not said(report, Section.DIFFERS)


def test_what_was_fulfilled_of_a_requirement_that_is_not_here_is_left_out(site: OldSite, switch):
    owner = builders.organization(uuid=site.academy.organization, api_key=site.academy.key)
    builders.requirement(builders.template(owner, uuid=site.academy.template), "other", builders.PASSED)
    site.dump.holder(site.template)
    report = switch()
    demo = site.template[1]
    assert ("badges.badgerequirement", demo) in said(report, Section.DIFFERS)
    assert f"Its requirement, badges.badgerequirement {demo}, is not here." in said(report, Section.LEFT_OUT).values()
    assert Badge.objects.get().credly_state == "accepted"


@pytest.mark.parametrize("asks_for", [{"count": 5}, {"counts_from": at(0)}, {"counts_until": at(0)}])
def test_a_requirement_that_counts_or_minds_the_time_is_like_none_of_the_peer(
    site: OldSite, switch, asks_for: dict[str, object]
):
    switch()
    Requirement.objects.update(**asks_for)
    site.dump.holder(site.template)
    report = switch()
    reason = said(report, Section.DIFFERS)["badges.badgerequirement", site.template[1]]
    assert reason == "Its template has other requirements here, and none that is like it."
    assert not Fulfillment.objects.exists()


def test_the_order_of_requirements_is_none_of_the_peer(site: OldSite, switch):
    switch()
    [first] = Requirement.objects.all()
    Requirement.objects.create(template=first.template, slug="second", event_type=first.event_type, after=first)
    site.dump.holder(site.template)
    assert ("badges.badgerequirement", site.template[1]) in said(switch(), Section.DIFFERS)
    assert not Fulfillment.objects.exists()


def test_one_badge_for_each_value_is_told_and_takes_over_no_progress(site: OldSite, switch):
    switch()
    Template.objects.update(per="course.course_key")
    site.dump.holder(site.template)
    lines = "\n".join(switch().lines())
    assert "It is one badge at the peer, and one for each value of course.course_key here." in lines
    assert not Fulfillment.objects.exists()


def test_an_organization_keeps_its_name_and_key_and_gets_what_it_lacks(site: OldSite, switch):
    row = builders.organization(uuid=site.academy.organization, name="Ours", api_key="newer-key")
    switch()
    row.refresh_from_db()
    assert (row.name, row.api_key) == ("Ours", "newer-key")
    Organization.objects.update(name="", api_key=None)
    report = switch()
    row.refresh_from_db()
    assert (row.name, row.api_key) == ("Academy", site.academy.key)
    assert site.academy.key not in "\n".join(report.lines())


def test_a_learner_whom_an_event_named_is_found_by_the_username(site: OldSite, switch):
    switch()
    deliver(passes(site.dana, AFTER))
    credly_id = site.issued()
    site.dump.holder(site.template, lms_user_id=None, state="pending", credly_id=credly_id)
    switch()
    assert Learner.objects.get().lms_user_id == 4711
    assert Badge.objects.get().credly_id == credly_id
    assert Template.objects.count() == 1


def test_a_username_that_two_learners_here_have_had_finds_nobody(site: OldSite, switch):
    for number in (1, 2):
        builders.learner(lms_user_id=number, username="dana")
    pk = site.dump.holder(site.template, lms_user_id=None)
    assert ("badges.credlybadge", pk) in said(switch(), Section.LEFT_OUT)


def test_a_badge_that_an_older_cycle_here_is_already_stays_where_it_is(site: OldSite, switch):
    credly_id, peers = site.issued(), uuid4()
    site.dump.holder(site.template, state="pending", credly_id=credly_id, uuid=str(peers))
    switch()
    Template.objects.update(reaward=True)
    deliver(fails(site.dana, AFTER))
    work_off()
    deliver(passes(site.dana, AFTER + 1))
    assert switch().written[Written.ADOPTED] == 0
    first, second = Badge.objects.order_by("cycle")
    assert (first.uuid, first.credly_id, second.credly_id) == (peers, credly_id, None)


def test_a_badge_without_an_id_whose_answer_the_peer_got_late_is_adopted_once(site: OldSite, switch):
    pk = site.dump.holder(site.template, state="error", credly_id=None)
    switch()
    credly_id = site.issued()
    site.dump.fields("badges.credlybadge", pk).update(state="pending", external_uuid=str(credly_id))
    switch()
    row = Badge.objects.get()
    assert (row.credly_id, row.credly_state, row.due_at) == (credly_id, "pending", None)
    assert switch().is_done


def test_a_badge_that_got_to_another_learner_before_is_not_taken_twice(site: OldSite, tmp_path):
    pk = site.dump.holder(site.template, lms_user_id=None, state="error", credly_id=None)
    imported(site.dump.write(tmp_path / "peer.json"), dana=9)
    report = imported(site.dump.write(tmp_path / "peer.json"), dana=4711)
    assert Badge.objects.get().learner.lms_user_id == 9
    assert ("badges.credlybadge", pk) in said(report, Section.LEFT_OUT)
