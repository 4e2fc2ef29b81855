"""webhook: what Credly says is taken over, in whatever order and however often it is told."""

from datetime import timedelta
from itertools import permutations
from uuid import UUID

import pytest
from django.utils import timezone

from pipeline import stages
from pipeline.ledgers import observations, webhooks
from pipeline.ledgers.holdings import Done
from pipeline.models import Template, Webhook
from tests.ledgers.builders import signals
from tests.ledgers.races import race
from tests.stages.conftest import Site
from tests.stages.credly_events import act, handle, happened, live_id, posted, state, told

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("what", "now"), [("accept", "accepted"), ("reject", "rejected")])
def test_what_the_learner_does_with_the_badge_is_taken_over(site, what, now):
    badge = site.issued()
    act(site, badge, what)
    row = told(site, "badge.state.changed")
    assert state(badge) == ("awarded", "", now)
    assert (row.state, row.outcome) == ("handled", f"badge {badge.uuid}: {now} at Credly.")
    assert (badge.history.last().what, badge.history.last().outcome) == ("webhook", f"{now} at Credly")
    assert signals(badge) == ["awarded"]


@pytest.mark.parametrize(("what", "event_type"), [("revoke", "badge.state.changed"), ("delete", "badge.deleted")])
def test_a_badge_that_was_revoked_or_deleted_at_credly_is_revoked_here_with_one_signal(site, what, event_type):
    badge = site.issued()
    act(site, badge, what)
    row = posted(site, happened(site, event_type)[-1]["id"])
    done = handle(row)
    assert state(badge) == ("revoked", "credly", "revoked")
    assert (row.state, row.event_type) == ("handled", event_type)
    assert done.signals == [badge.signals.last().pk]
    assert signals(badge) == ["awarded", "revoked"]


def test_an_event_that_tells_only_the_id_of_what_was_deleted_is_enough(site):
    site.emulator.switch(deleted_event_object="id")
    badge = site.issued()
    act(site, badge, "delete")
    told(site, "badge.deleted")
    assert state(badge)[0] == "revoked"


def test_the_same_event_handled_again_tells_nothing_new(site):
    badge = site.issued()
    act(site, badge, "revoke")
    row = told(site, "badge.state.changed")
    lines = badge.history.count()
    assert webhooks.handle_again(row)
    assert handle(row) == Done()
    assert row.state == "handled"
    assert (badge.history.count(), signals(badge)) == (lines, ["awarded", "revoked"])


def test_a_badge_of_which_nothing_changed_is_left_as_it_is(site):
    badge = site.issued()
    site.emulator.control("POST", f"badges/{badge.credly_id}/privacy", {"public": False})
    for event_type in ("badge.created", "badge.privacy.changed"):
        row = told(site, event_type)
        assert (row.state, row.outcome) == ("handled", f"badge {badge.uuid}: pending at Credly, as it is here.")


def test_a_replacement_is_followed_to_its_end(site):
    badge = site.issued()
    for _ in range(3):
        act(site, badge, "replace")
    handle(posted(site, happened(site, "badge.state.changed")[0]["id"]))
    badge.refresh_from_db()
    assert (str(badge.credly_id), badge.credly_state) == (live_id(site, badge), "pending")
    act(site, badge, "accept")
    told(site, "badge.state.changed")
    assert state(badge) == ("awarded", "", "accepted")


def test_replacements_without_end_are_not_followed_for_ever(site):
    badge = site.issued()
    for _ in range(12):
        act(site, badge, "replace")
    before = len(site.calls("GET", "/badges/"))
    row = posted(site, happened(site, "badge.state.changed")[0]["id"])
    handle(row)
    assert len(site.calls("GET", "/badges/")) - before == 11
    assert (row.state, "replacements" in row.error) == ("waiting", True)


def test_a_badge_whose_replacement_was_revoked_is_revoked(site):
    badge = site.issued()
    act(site, badge, "replace")
    site.academy.call("PUT", f"/badges/{live_id(site, badge)}/revoke", json={"reason": "by hand"})
    first_change = happened(site, "badge.state.changed")[0]
    handle(posted(site, first_change["id"]))
    assert state(badge) == ("revoked", "credly", "revoked")


LIVES = [
    ("accept", "revoke"),
    ("replace", "accept-replacement"),
    ("accept", "delete"),
]


@pytest.mark.parametrize("life", LIVES, ids=[", then ".join(life) for life in LIVES])
def test_in_any_order_and_repeated_the_webhooks_of_a_badge_end_in_the_same_state(site, life):
    """Each order has a badge of its own; all of a kind must end alike."""
    badges = {}
    for order in permutations(range(3 if "replace" not in life else 4)):
        badge = site.issued()
        before = len(happened(site)) - 1
        for step in life:
            if step == "accept-replacement":
                site.emulator.control("POST", f"badges/{live_id(site, badge)}/accept")
            else:
                act(site, badge, step)
        badges[order] = (badge, [event["id"] for event in happened(site)[before:]])
    for order, (_, events) in badges.items():
        assert len(events) == len(order)
        for number in (*order, *order[:2]):
            pk = webhooks.receive(site.organization, UUID(events[number]), "badge.created")
            if pk is None:
                [row] = Webhook.objects.filter(event=events[number])
                webhooks.handle_again(row)
                pk = row.pk
            stages.webhook(pk)
    expected = {"delete": "revoked", "revoke": "revoked", "accept-replacement": "accepted"}[life[-1]]
    assert {state(badge)[2] for badge, _ in badges.values()} == {expected}
    kinds = {tuple(signals(badge)) for badge, _ in badges.values()}
    assert kinds == {("awarded", "revoked") if expected == "revoked" else ("awarded",)}
    if "replace" in life:
        assert {str(badge.credly_id) for badge, _ in badges.values()} == {row["id"] for row in site.live()}


@pytest.mark.django_db(transaction=True)
def test_many_workers_with_the_webhooks_of_a_badge_end_with_one_signal(site):
    badge = site.issued()
    act(site, badge, "accept")
    act(site, badge, "revoke")
    rows = [posted(site, event["id"]) for event in happened(site) if event["event_type"].startswith("badge.")]

    def work() -> list[int]:
        return [signal for row in rows for signal in stages.webhook(row.pk).signals]

    told_by = race(work)
    for row in rows:
        handle(row)
    assert sorted(map(len, told_by))[-2:] == [0, 1]
    assert state(badge)[2] == "revoked"
    assert signals(badge) == ["awarded", "revoked"]


def set_template(site: Site, state_at_credly: str) -> None:
    site.emulator.control("POST", f"templates/{site.academy.template}/state", {"state": state_at_credly})


@pytest.mark.parametrize("state_at_credly", ["archived", "draft"])
def test_a_template_that_is_not_active_at_credly_any_more_is_switched_off(site, state_at_credly):
    set_template(site, state_at_credly)
    row = told(site, "badge_template.changed")
    site.template.refresh_from_db()
    assert (site.template.state, site.template.active) == (state_at_credly, False)
    assert (row.state, state_at_credly in row.outcome) == ("handled", True)


def test_a_template_that_is_active_again_is_not_switched_on_by_itself(site):
    for state_at_credly in ("archived", "active"):
        set_template(site, state_at_credly)
        told(site, "badge_template.changed")
    site.template.refresh_from_db()
    assert (site.template.state, site.template.active) == ("active", False)


def test_a_deleted_template_is_switched_off_and_keeps_its_badges(site):
    badge = site.issued()
    site.emulator.control("DELETE", f"templates/{site.academy.template}")
    row = told(site, "badge_template.deleted")
    site.template.refresh_from_db()
    assert (site.template.state, site.template.active, row.state) == ("archived", False, "handled")
    assert state(badge) == ("awarded", "", "pending")


def test_a_template_that_credly_does_not_find_is_switched_off_only_at_the_second_look(site):
    set_template(site, "active")
    not_found = {"data": {"message": "Template not found"}}
    site.fault(method="GET", match={"path": "/badge_templates/"}, status=404, body=not_found, times=1)
    row = told(site, "badge_template.changed")
    site.template.refresh_from_db()
    assert (row.state, row.error, site.template.active) == ("waiting", observations.NOT_SHOWN, True)
    assert row.due_at > timezone.now() + timedelta(seconds=20)
    handle(row)
    site.template.refresh_from_db()
    assert (row.state, site.template.active) == ("handled", True)
    site.fault(method="GET", match={"path": "/badge_templates/"}, status=404, body=not_found)
    assert webhooks.handle_again(row)
    for state_then in ("waiting", "handled"):
        handle(row)
        assert row.state == state_then
    site.template.refresh_from_db()
    assert (site.template.state, site.template.active) == ("archived", False)


def test_a_new_template_arrives_inactive(site):
    created = site.emulator.control(
        "POST", "templates", {"organization": site.academy.organization, "name": "Expert Course"}
    )
    site.emulator.control("POST", f"templates/{created['id']}/state", {"state": "active"})
    row = told(site, "badge_template.changed")
    new = Template.objects.get(uuid=created["id"])
    assert (new.name, new.active, new.organization, row.state) == ("Expert Course", False, site.organization, "handled")


@pytest.mark.parametrize("gone", [False, True])
def test_a_template_that_is_neither_active_nor_ours_is_ignored(site, gone):
    created = site.emulator.control(
        "POST", "templates", {"organization": site.academy.organization, "name": "Not Yet", "state": "draft"}
    )
    site.emulator.control("POST", f"templates/{created['id']}/state", {"state": "draft"})
    if gone:
        site.emulator.control("DELETE", f"templates/{created['id']}")
    assert told(site, "badge_template.changed").state == "ignored"
    assert Template.objects.count() == 1
