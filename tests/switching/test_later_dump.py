"""A second dump: what an earlier take-over wrote follows the peer, what events and people did here since stays and is told."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import stages
from pipeline.ledgers import interventions, retirement
from pipeline.models import Badge, BadgeHistory, Fulfillment, Learner, Penalty, Requirement, Template
from pipeline.switching.dump import read_dump
from pipeline.switching.report import Report, Section, Written
from pipeline.switching.takeover import take_over
from tests.ledgers import builders
from tests.ledgers.builders import DEMO, MATH, at, deliver, fails, passes
from tests.switching.conftest import OldSite, work_off
from tests.switching.peers import PeerDump, entries, imported, said, silent

pytestmark = pytest.mark.django_db

BEFORE, AFTER = 30, 90
"""Minutes: before the peer changed the badge last, and after."""
LATER = "2026-05-01T15:00:00Z"
"""When the peer changed it once more: minute 180."""


@pytest.fixture
def switch(site: OldSite, tmp_path) -> Callable[..., Report]:
    def take_over(**lms_ids: int) -> Report:
        return imported(site.dump.write(tmp_path / "peer.json"), **lms_ids)

    return take_over


def remove(dump: PeerDump, model: str, pk: int | None = None) -> None:
    """What the peer has deleted since: a row, or all of a model."""
    dump.records = [row for row in dump.records if row["model"] != model or pk not in (None, row["pk"])]


def revoked_at_the_peer(dump: PeerDump, badge: int, state: str = "revoked") -> None:
    dump.fields("credentials.usercredential", badge).update(status="revoked", modified=LATER)
    dump.fields("badges.credlybadge", badge).update(state=state)
    remove(dump, "badges.fulfillment")


def half_way(site: OldSite) -> None:
    """Dana has one of two groups, the other is the math course."""
    template, demo = site.template
    site.dump.requirement(template, ("course.course_key", "eq", MATH), blend="B")
    site.dump.user()
    site.dump.progress("dana", template, demo)


def test_half_way_progress_counts_with_the_event_of_the_other_group(site: OldSite, switch):
    """The control of the next test."""
    half_way(site)
    switch()
    assert len(deliver(passes(site.dana, AFTER, MATH))) == 1


def test_progress_that_the_peer_has_reset_since_is_taken_back_and_issues_nothing(site: OldSite, switch):
    half_way(site)
    switch()
    remove(site.dump, "badges.fulfillment")
    report = switch()
    assert report.written[Written.TAKEN_BACK] == 1
    assert "1 fulfillments taken back" in report.summary(dry_run=False)
    assert deliver(passes(site.dana, AFTER, MATH)) == []
    assert not Badge.objects.exists()
    assert switch().is_done


def test_progress_that_the_peer_has_deleted_since_is_taken_back(site: OldSite, switch):
    half_way(site)
    switch()
    remove(site.dump, "badges.fulfillment")
    remove(site.dump, "badges.badgeprogress")
    assert switch().written[Written.TAKEN_BACK] == 1
    assert not Fulfillment.objects.exists()


def test_progress_of_somebody_who_is_left_out_now_stays(site: OldSite, switch):
    half_way(site)
    switch()
    pk = next(row["pk"] for row in site.dump.records if row["model"] == "badges.badgeprogress")
    report = switch(dana=9)
    assert ("badges.badgeprogress", pk) in said(report, Section.LEFT_OUT)
    assert report.written[Written.TAKEN_BACK] == 0
    assert Fulfillment.objects.exists()


def test_what_an_event_fulfilled_here_and_not_at_the_peer_stays_and_is_told(site: OldSite, switch):
    half_way(site)
    switch()
    deliver(passes(site.dana, AFTER))
    remove(site.dump, "badges.fulfillment")
    report = switch()
    dana, demo = Learner.objects.get(), f"requirement-{site.template[1]}"
    (entry,) = entries(report, "learner")
    assert (entry.section, entry.pk, entry.name) == (Section.DIFFERS, dana.pk, "Intro Course")
    assert entry.reason == f"An event fulfilled {demo} here; at the peer it is not fulfilled."
    assert Fulfillment.objects.get().fulfilled
    remove(site.dump, "badges.badgeprogress")
    assert entries(switch(), "learner") == [entry]
    assert "dana" not in "\n".join(report.lines()).lower()


def test_a_badge_that_the_peer_has_revoked_since_is_revoked_here(site: OldSite, switch):
    credly_id = site.issued()
    pk = site.dump.holder(site.template, state="pending", credly_id=credly_id)
    switch()
    revoked_at_the_peer(site.dump, pk)
    report = switch()
    row = Badge.objects.get()
    assert (row.standing, row.revoked_by, row.credly_state, row.due_at) == ("revoked", "rules", "revoked", None)
    assert said(report, Section.NOTED)["badges.credlybadge", pk].startswith(
        "revoked at the peer since an earlier import"
    )
    assert report.written[Written.RENEWED_BADGES] == report.written[Written.TAKEN_BACK] == 1
    assert switch().is_done
    assert deliver(passes(site.dana, AFTER)) == []
    assert work_off() == []


def test_a_revocation_since_that_credly_never_heard_of_is_done(site: OldSite, switch):
    credly_id = site.issued()
    pk = site.dump.holder(site.template, state="pending", credly_id=credly_id)
    switch()
    revoked_at_the_peer(site.dump, pk, "pending")
    assert said(switch(), Section.ASKED).keys() == {("badges.credlybadge", pk)}
    work_off()
    assert site.at_credly() == [(str(credly_id), "revoked")]


def test_a_revocation_since_does_not_undo_what_an_event_decided_here(site: OldSite, switch):
    """The peer goes by the order of arrival: it may revoke by a failure that is older than the pass."""
    credly_id = site.issued()
    pk = site.dump.holder(site.template, state="pending", credly_id=credly_id)
    switch()
    deliver(passes(site.dana, AFTER))
    revoked_at_the_peer(site.dump, pk, "pending")
    report = switch()
    assert said(report, Section.DIFFERS)["badges.credlybadge", pk] == "revoked at the peer, awarded here."
    assert work_off() == []
    assert site.at_credly() == [(str(credly_id), "pending")]


def test_a_badge_that_the_learner_accepted_since_is_accepted_and_counts_from_then(site: OldSite, switch):
    pk = site.dump.holder(site.template, state="pending")
    switch()
    site.dump.fields("badges.credlybadge", pk).update(state="accepted")
    site.dump.fields("credentials.usercredential", pk).update(modified=LATER)
    report = switch()
    assert (Badge.objects.get().credly_state, Fulfillment.objects.get().time) == ("accepted", at(180))
    assert report.summary(dry_run=False) == ("Written: 1 fulfillments brought up to date, 1 badges brought up to date.")
    assert deliver(fails(site.dana, 120)) == []
    assert switch().is_done


def test_an_older_dump_moves_no_time_back(site: OldSite, switch):
    pk = site.dump.holder(site.template)
    site.dump.fields("credentials.usercredential", pk).update(modified=LATER)
    switch()
    site.dump.fields("credentials.usercredential", pk).update(modified="2026-05-01T13:00:00Z")
    assert switch().is_done
    assert Fulfillment.objects.get().time == at(180)


def test_a_badge_that_the_peer_issued_anew_since_is_that_one(site: OldSite, switch):
    first = site.dump.holder(site.template, state="error", credly_id=None)
    switch()
    remove(site.dump, "credentials.usercredential", first)
    remove(site.dump, "badges.credlybadge", first)
    peers, credly_id = uuid4(), uuid4()
    site.dump.badge("dana", site.template[0], "pending", credly_id, uuid=str(peers), created=LATER, modified=LATER)
    switch()
    row = Badge.objects.get()
    assert (row.uuid, row.credly_id, row.earned_at, row.created_at) == (peers, credly_id, at(180), at(180))
    assert row.due_at is None


def by_an_event(site: OldSite) -> None:
    deliver(fails(site.dana, AFTER), passes(site.dana, AFTER + 1))


def by_an_operator(site: OldSite) -> None:
    interventions.revoke(Badge.objects.get(), "By hand", "olga")


def by_credly(site: OldSite) -> None:
    stages.recheck(Badge.objects.get().pk)


@pytest.mark.parametrize("touch", [by_an_event, by_an_operator, by_credly])
def test_a_badge_that_something_has_touched_here_stays(site: OldSite, switch, touch: Callable[[OldSite], None]):
    pk = site.dump.holder(site.template, state="pending", credly_id=site.issued())
    switch()
    touch(site)
    before = Badge.objects.values().get()
    site.dump.fields("credentials.usercredential", pk).update(modified=LATER)
    site.dump.fields("badges.credlybadge", pk).update(state="accepted")
    report = switch()
    assert Badge.objects.values().get() == before
    assert report.written[Written.RENEWED_BADGES] == 0
    assert not BadgeHistory.objects.filter(what="taken over")[1:]


def test_a_learner_whom_the_peer_corrected_since_is_corrected(site: OldSite, switch):
    site.dump.holder(site.template)
    switch()
    user = next(row["fields"] for row in site.dump.records if row["model"] == "core.user")
    user.update(email="new@learners.example", full_name="Dana Hale")
    report = switch()
    row = Learner.objects.get()
    assert (row.email, row.name) == ("new@learners.example", "Dana Hale")
    assert report.written[Written.RENEWED_LEARNERS] == 1
    assert switch().is_done


def test_a_learner_of_whom_an_event_told_stays(site: OldSite, switch):
    site.dump.holder(site.template)
    switch()
    deliver(passes(site.dana, AFTER))
    user = next(row["fields"] for row in site.dump.records if row["model"] == "core.user")
    user.update(email="new@learners.example")
    assert switch().is_done
    assert Learner.objects.get().email == site.dana.email


def test_a_retired_learner_gets_no_name_back(site: OldSite, switch):
    site.dump.holder(site.template)
    switch()
    retirement.retire(4711)
    assert switch().is_done
    row = Learner.objects.get()
    assert (row.email, row.name) == ("", "")


def of_template(report: Report) -> dict[tuple[str, int | str], str]:
    """What differs in the templates' configuration."""
    return {key: reason for key, reason in said(report, Section.DIFFERS).items() if "badge" in key[0] and "." in key[0]}


def test_rules_and_groups_that_the_peer_has_changed_since_are_told_and_stay(site: OldSite, switch):
    demo = site.template[1]
    site.dump.holder(site.template)
    switch()
    penalty = next(row["pk"] for row in site.dump.records if row["model"] == "badges.badgepenalty")
    before = configuration()
    for row in site.dump.records:
        if row["model"] == "badges.datarule" and row["fields"]["data_path"] == "course.course_key":
            row["fields"]["value"] = MATH
        if row["model"] == "badges.penaltydatarule" and row["fields"]["data_path"] == "is_passing":
            row["fields"].update(operator="ne", value="true")
    site.dump.fields("badges.badgerequirement", demo)["blend"] = "B"
    report = switch()
    lines = "\n".join(report.lines())
    passed, course = "is_passing eq true", "course.course_key eq"
    assert f'badges.badgerequirement {demo} "Intro Course": Its group is B at the peer, A here.' in lines
    assert (
        f'badges.badgerequirement {demo} "Intro Course": Its rules are [{course} {MATH}; {passed}] at the peer, '
        f"[{course} {DEMO}; {passed}] here." in lines
    )
    assert of_template(report)["badges.badgepenalty", penalty].startswith("Its rules are [")
    assert not said(report, Section.TEMPLATES), "explains the rules of the peer, which are not those here"
    assert configuration() == before
    assert report.is_done


def test_requirements_and_penalties_that_came_and_went_since_are_told(site: OldSite, switch):
    template, demo = site.template
    switch()
    old = Penalty.objects.get().slug
    remove(site.dump, "badges.badgepenalty")
    remove(site.dump, "badges.penaltydatarule")
    new = site.dump.requirement(template, ("is_passing", "eq", "true"), blend="B")
    penalty = site.dump.penalty(template, [demo], ("is_passing", "ne", "true"))
    report = switch()
    assert of_template(report) == {
        ("badges.badgerequirement", new): "Its template has other requirements here, and none that is like it.",
        ("badges.badgepenalty", penalty): "Its template has no such penalty here.",
        ("badges.badgetemplate", template): f"Penalty {old} is here, and not at the peer.",
    }
    Requirement.objects.create(template=Template.objects.get(), slug="ours", event_type="x")
    assert "Requirement ours is here, and not at the peer." in "\n".join(switch().lines())


def test_a_penalty_that_resets_other_requirements_since_is_told(site: OldSite, switch):
    switch()
    penalty = next(row for row in site.dump.records if row["model"] == "badges.badgepenalty")
    penalty["fields"]["requirements"] = []
    assert of_template(switch()) == {
        ("badges.badgepenalty", penalty["pk"]): "It resets other requirements at the peer than here."
    }


def test_an_event_type_that_differs_is_told(site: OldSite, switch):
    switch()
    site.dump.fields("badges.badgerequirement", site.template[1])["event_type"] = "another"
    reason = of_template(switch())["badges.badgerequirement", site.template[1]]
    assert reason.startswith("Its event type is another at the peer, org.openedx.learning.course.passing")


def test_a_template_that_the_peer_has_switched_off_since_is_told_and_stays(site: OldSite, switch):
    switch()
    site.dump.fields("badges.badgetemplate", site.template[0])["is_active"] = False
    assert of_template(switch()) == {
        ("badges.badgetemplate", site.template[0]): "It is not active at the peer, and active here."
    }
    assert Template.objects.get().active


def test_an_active_template_that_the_peer_does_not_have_is_told(site: OldSite, switch):
    switch()
    ours, _ = builders.template(name="Ours"), builders.template(active=False)
    assert said(switch(), Section.DIFFERS) == {("template", str(ours.uuid)): "The peer has none such."}


def test_a_template_of_another_organization_here_is_told_and_not_made_active(site: OldSite, switch):
    row = builders.template(uuid=site.academy.template, active=False)
    site.dump.holder(site.template)
    report = switch()
    row.refresh_from_db()
    assert (row.active, row.requirements.count(), row.organization.name) == (False, 1, "Academy")
    assert of_template(report) == {
        ("badges.badgetemplate", site.template[0]): f"It belongs to {site.academy.organization} at the peer, to "
        f"{row.organization.uuid} here."
    }


def configuration() -> list[Any]:
    """All of it."""
    return [
        [list(model.objects.order_by("pk").values()) for model in (Template, Requirement, Penalty)],
        [[str(rule) for rule in row.rules.all()] for model in (Requirement, Penalty) for row in model.objects.all()],
    ]


@st.composite
def histories(draw: st.DrawFn) -> tuple[PeerDump, PeerDump]:
    """A peer, and the same after a while: progress came and was reset, badges came, changed and were revoked."""
    dump = PeerDump()
    owner = dump.organization(uuid=str(UUID(int=1)))
    templates = [dump.course_template(owner, uuid=str(UUID(int=100 + number))) for number in range(2)]
    for number, name in enumerate(["dana", "eli"]):
        dump.user(name, number + 1)
        for place, (template, demo) in enumerate(templates):
            pk = dump.add("badges.badgeprogress", username=name, template=template)
            if draw(st.booleans()):
                dump.add("badges.fulfillment", progress=pk, requirement=demo, blend="A")
            if draw(st.booleans()):
                state, credly_id = draw(badge_states)
                uuid = str(UUID(int=2000 + 10 * number + place))
                badge = dump.badge(name, template, state, credly_id, uuid=uuid, status=draw(statuses))
                dump.fields("badges.credlybadge", badge)["external_uuid"] = credly_id and str(
                    UUID(int=10 * number + place)
                )
    later = PeerDump()
    for row in dump.records:
        if row["model"] == "badges.fulfillment" and draw(st.booleans()):
            continue
        fields = dict(row["fields"])
        if row["model"] == "credentials.usercredential":
            fields |= {"status": draw(statuses), "modified": draw(st.sampled_from([fields["modified"], LATER]))}
        if row["model"] == "badges.credlybadge":
            state, credly_id = draw(badge_states)
            fields |= {"state": state, "external_uuid": credly_id and (fields["external_uuid"] or str(uuid4()))}
        later.records.append(row | {"fields": fields})
    return dump, later


badge_states = st.sampled_from(
    [("error", None), ("created", None), ("pending", True), ("accepted", True), ("revoked", True)]
)
statuses = st.sampled_from(["awarded", "awarded", "revoked"])


def held() -> tuple[set[Any], set[Any]]:
    """What is held of learners, by names that both ways give alike."""
    fulfillments = Fulfillment.objects.values_list(
        "progress__learner__lms_user_id", "requirement__slug", "fulfilled", "event", "time"
    )
    badges = Badge.objects.values_list(
        "uuid", "learner__lms_user_id", "standing", "revoked_by", "credly_state", "credly_id", "earned_at", "created_at"
    )
    return set(fulfillments), set(badges)


@given(history=histories())
@settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_dump_after_an_earlier_one_ends_like_the_later_one_alone(history: tuple[PeerDump, PeerDump], tmp_path):
    earlier, later = (read_dump(str(dump.write(tmp_path / "peer.json")), silent) for dump in history)
    results = []
    for dumps in ([earlier, later], [later]):
        with transaction.atomic():
            for peer in dumps:
                take_over(peer, {}, dry_run=False, advance=silent)
            results.append(held())
            due = set(Badge.objects.filter(due_at__isnull=False).values_list("uuid", flat=True))
            assert due == {row[0] for row in results[-1][1] if row[4] in ("issuing", "revoking")}
            transaction.set_rollback(True)
    assert results[0] == results[1]
