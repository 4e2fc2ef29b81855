"""Badges in the admin: find, understand, retry, revoke, give back and re-check; each told, recorded and sent on."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from pipeline import stages
from pipeline.admin import badge_actions
from pipeline.ledgers import holdings
from pipeline.models import Badge, BadgeHistory, CredlyState, Learner, Template
from tests.admin.pages import act, list_url, listed, logged, nudged, page_url, queries, text, told
from tests.ledgers.builders import (
    badge,
    claimed,
    course_template,
    deliver,
    fails,
    held_badge,
    learner,
    lms_learner,
    passes,
    stored,
)
from tests.stages.conftest import issue

pytestmark = pytest.mark.django_db

ACTIONS = ["retry_now", "revoke", "let_rules_decide", "recheck"]


def reread(row: Badge) -> Badge:
    return Badge.objects.get(pk=row.pk)


def history(row: Badge) -> list[tuple[str, str, str]]:
    return list(row.history.values_list("what", "outcome", "actor"))


def by_operator(row: Badge, **fields) -> Badge:
    """The badge as after an operator revoked it."""
    Badge.objects.filter(pk=row.pk).update(standing="revoked", revoked_by="operator", **fields)
    return reread(row)


@pytest.mark.parametrize("term", ["{uuid}", "{credly}", "dana", "DANA@learners.example", "4711"])
def test_badges_are_found_by_either_id_and_by_the_learner(operator: Client, term):
    row = held_badge(learner=learner(username="dana", email="dana@learners.example", lms_user_id=4711))
    held_badge()
    assert listed(operator, Badge, q=term.format(uuid=row.uuid, credly=row.credly_id)) == [row.pk]


def test_badges_are_filtered(operator: Client):
    failed = badge(credly_state="failed", due_at=None)
    revoked = by_operator(held_badge())
    assert listed(operator, Badge, credly_state__exact="failed") == [failed.pk]
    assert listed(operator, Badge, standing__exact="revoked") == [revoked.pk]
    assert listed(operator, Badge, revoked_by__exact="operator") == [revoked.pk]
    assert listed(operator, Badge, template__id__exact=failed.template_id) == [failed.pk]
    organization = revoked.template.organization_id
    assert listed(operator, Badge, template__organization__id__exact=organization) == [revoked.pk]


def test_a_list_takes_as_many_queries_for_many_rows_as_for_one(operator: Client):
    badge()
    for_one = queries(operator, Badge)
    for _ in range(9):
        badge()
    assert queries(operator, Badge) == for_one


def test_a_badges_page_shows_its_facts_history_signals_and_where_to_go_on(viewer: Client, settings):
    course_template()
    event = passes(lms_learner(), 1)
    deliver(event)
    row = Badge.objects.get()
    holdings.held(claimed(row), uuid4(), CredlyState.PENDING, "issued")
    row = reread(row)
    response = viewer.get(page_url(row))
    page, html = text(response), response.content.decode()
    assert "Nothing: Credly holds it, and the learner has not accepted it yet." in page
    assert f"issued: pending at Credly as {row.credly_id}" in page
    assert "badge.awarded" in page
    for other in (stored(event), Learner.objects.get(), Template.objects.get(), row.signals.get()):
        assert page_url(other) in html
    assert f'href="https://credly.com/badges/{row.credly_id}"' in html


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "As soon as a worker is free: Credly is asked to issue it."),
        ({"due_at": timezone.now() + timedelta(hours=1)}, "UTC: Credly is asked to issue it."),
        ({"claimed_until": timezone.now() + timedelta(hours=1)}, "A worker is at it: Credly is asked to issue it."),
        ({"credly_state": "issuing"}, "Credly is looked at, and asked to issue it if it holds none"),
        ({"standing": "revoked", "credly_state": "pending"}, "Credly is asked to revoke it."),
        ({"credly_state": "failed", "due_at": None}, "Remove the cause that the error names, then retry."),
        ({"credly_state": "failed", "taken_up": 4, "due_at": None}, "it was set aside without a result."),
        (
            {"standing": "revoked", "credly_state": "failed", "taken_up": 4, "due_at": None},
            "it was set aside without a result.",
        ),
        ({"standing": "revoked", "due_at": None}, "Nothing: it was cancelled before Credly held it."),
        (
            {"standing": "revoked", "revoked_by": "credly", "credly_state": "revoked", "due_at": None},
            "No event gives it back, unless you let the rules decide again.",
        ),
    ],
)
def test_the_page_says_what_happens_next(viewer: Client, fields, words):
    assert words in text(viewer.get(page_url(badge(**fields))))


def test_every_state_of_a_badge_has_words(viewer: Client):
    for standing in ("awarded", "revoked"):
        for state in CredlyState:
            row = badge(standing=standing, credly_state=state, credly_id=uuid4())
            assert viewer.get(page_url(row)).status_code == 200


@pytest.mark.parametrize(
    ("fields", "offered"),
    [
        ({}, ["retry_now", "revoke"]),
        ({"credly_state": "pending", "credly_id": uuid4(), "due_at": None}, ["revoke", "recheck"]),
        ({"credly_state": "failed", "due_at": None}, ["retry_now", "revoke", "recheck"]),
        ({"standing": "revoked", "revoked_by": "rules", "due_at": None}, []),
        ({"standing": "revoked", "revoked_by": "operator", "due_at": None}, ["let_rules_decide"]),
    ],
)
def test_the_page_offers_what_can_change_something(operator: Client, fields, offered):
    operations = operator.get(page_url(badge(**fields))).context["operations"]
    assert [operation.action for operation in operations] == offered


@pytest.mark.parametrize("action", ACTIONS)
def test_viewers_change_nothing(viewer: Client, action):
    row = held_badge()
    before = Badge.objects.values().get()
    assert viewer.get(page_url(row)).context["operations"] == []
    act(viewer, action, [row], confirmed=1, reason="No right to.")
    assert Badge.objects.values().get() == before
    assert (logged(), BadgeHistory.objects.exclude(actor="").count()) == ([], 0)


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_is_never_run_by_a_link(operator: Client, action):
    row = by_operator(held_badge())
    before = Badge.objects.values().get()
    operator.get(list_url(Badge), {"action": action, "_selected_action": row.pk, "index": 0, "confirmed": 1})
    assert Badge.objects.values().get() == before


@pytest.mark.parametrize("action", ACTIONS)
def test_too_large_a_selection_is_refused_in_words(operator: Client, action, monkeypatch):
    monkeypatch.setattr(badge_actions, "MOST_AT_ONCE", 1)
    response = act(operator, action, [held_badge(), held_badge()], confirmed=1, reason="Any.")
    [message] = told(response)
    assert message.startswith("More than 1 are selected, so nothing was done")


def test_retrying_puts_failed_and_waiting_badges_to_work_at_once(operator: Client, django_capture_on_commit_callbacks):
    failed = badge(credly_state="failed", due_at=None)
    waiting = badge(due_at=timezone.now() + timedelta(hours=1))
    done = held_badge()
    with django_capture_on_commit_callbacks() as callbacks:
        response = act(operator, "retry_now", [failed, waiting, done])
    assert told(response)[0] == "2 badges are tried again now."
    assert told(response)[1].startswith("1 badge has nothing to try now")
    assert reread(failed).credly_state == "none"
    assert reread(waiting).due_at <= timezone.now()
    assert history(failed)[-1] == history(waiting)[-1] == ("retry", "asked for", "operator")
    assert sorted(logged()) == sorted([(str(failed.pk), "Retried."), (str(waiting.pk), "Retried.")])
    [(task, badges)] = nudged(callbacks)
    assert (task, sorted(*badges)) == ("issue", [failed.pk, waiting.pk])


def test_retrying_after_a_lost_answer_says_that_it_is_not_at_once(operator: Client):
    row = badge(credly_state="issuing", due_at=timezone.now() + timedelta(hours=1))
    [message] = told(act(operator, "retry_now", [row]))
    assert message.startswith("1 badge is tried again within a minute: an answer of Credly was lost")
    assert timezone.now() < reread(row).due_at <= timezone.now() + holdings.SURELY_EFFECTIVE


def test_revoking_first_asks_for_a_reason_and_says_what_will_happen(operator: Client):
    rows = [held_badge(), badge(), by_operator(held_badge())]
    page = act(operator, "revoke", rows)
    read = text(page)
    assert "Credly shows this to the learner. At most 255 characters." in read
    assert "Credly revokes it, tells the learner the reason, and badge.revoked goes to the event bus." in read
    assert "It is cancelled: Credly never held it, and the learner hears nothing." in read
    assert "Nothing: it is revoked already." in read
    assert all(row.learner.username in read for row in rows)
    assert Badge.objects.filter(standing="awarded").count() == 2


@pytest.mark.parametrize(
    ("reason", "complaint"),
    [("", "This field is required."), ("   ", "This field is required."), ("x" * 256, "at most 255 characters")],
)
def test_a_wrong_reason_is_an_error_at_its_field_and_nothing_is_revoked(operator: Client, reason, complaint):
    row = held_badge()
    page = act(operator, "revoke", [row], confirmed=1, reason=reason)
    assert complaint in text(page)
    assert reread(row).standing == "awarded"


def test_revoking_with_a_reason_is_recorded_and_sent_on(operator: Client, django_capture_on_commit_callbacks):
    row, before = held_badge(), by_operator(held_badge(), revocation_reason="first")
    with django_capture_on_commit_callbacks() as callbacks:
        response = act(operator, "revoke", [row, before], confirmed=1, reason="Cheated in the exam.")
    assert told(response) == ["1 badge is revoked.", "1 badge was revoked already."]
    now = reread(row)
    assert (now.standing, now.revoked_by, now.revocation_reason) == ("revoked", "operator", "Cheated in the exam.")
    assert reread(before).revocation_reason == "first"
    assert history(row)[-1] == ("revoked", "by an operator: Cheated in the exam.", "operator")
    assert logged() == [(str(row.pk), "Revoked: Cheated in the exam.")]
    assert nudged(callbacks) == [("issue", [[row.pk]])]


def test_from_a_badges_page_the_confirmation_leads_back_there(operator: Client):
    row = held_badge()
    page = act(operator, "revoke", [row], from_page=1)
    assert 'name="from_page"' in page.content.decode()
    response = act(operator, "revoke", [row], from_page=1, confirmed=1, reason="Cheated.")
    assert response.redirect_chain == [(page_url(row), 302)]


def test_revoked_and_left_to_the_rules_again_the_learner_ends_with_a_new_badge_at_credly(operator: Client, site):
    deliver(passes(lms_learner(), 1))
    row = Badge.objects.get()
    issue(row)
    act(operator, "revoke", [row], confirmed=1, reason="Cheated in the exam.")
    issue(row)
    [at_credly] = site.ledger()
    assert (at_credly["state"], at_credly["revocation_reason"]) == ("revoked", "Cheated in the exam.")

    page = text(act(operator, "let_rules_decide", [row]))
    assert "If the learner fulfills the template now, Credly issues a new badge." in page
    assert not Badge.objects.filter(cycle=2).exists()
    response = act(operator, "let_rules_decide", [row], confirmed=1)
    assert told(response) == ["1 badge is awarded again: the learner fulfills the template."]
    assert history(row)[-1] == ("left to the rules", "", "operator")
    assert logged()[-1] == (str(row.pk), "Left to the rules.")
    issue(Badge.objects.get(cycle=2))
    assert [badge["state"] for badge in site.ledger()] == ["revoked", "pending"]


def test_where_the_rules_cannot_award_nothing_changes_and_the_message_says_what_is_missing(operator: Client):
    course_template()
    who = lms_learner()
    deliver(passes(who, 1))
    row = by_operator(Badge.objects.get(), credly_state="revoked", due_at=None)
    deliver(fails(who, 2))
    inactive, other = by_operator(held_badge()), held_badge()
    Template.objects.filter(pk=inactive.template_id).update(active=False)
    before = list(Badge.objects.order_by("pk").values())
    said = told(act(operator, "let_rules_decide", [row, inactive, other], confirmed=1))
    assert said[0].startswith("1 badge stays as it was: the learner does not fulfill the template now.")
    assert said[1].startswith("1 badge stays as it was: its template is inactive or has no requirement")
    assert said[2] == "1 badge was left alone: no person revoked it."
    assert said[3].startswith(f'Intro Course, learner {who.id}: requirement "demo" (taken back ')
    assert (len(said), logged()) == (4, [])
    assert list(Badge.objects.order_by("pk").values()) == before
    [offered] = [each.action for each in operator.get(page_url(row)).context["operations"] if "rules" in each.action]
    assert offered == "let_rules_decide"


def test_a_re_check_asks_credly_and_records_who_wanted_it(operator: Client, site, django_capture_on_commit_callbacks):
    row, unseen = site.issued(), site.badge()
    failed = site.badge(credly_state="failed", due_at=None)
    site.academy.call("PUT", f"/badges/{row.credly_id}/revoke", json={"reason": "by hand"})
    with django_capture_on_commit_callbacks() as callbacks:
        response = act(operator, "recheck", [row, unseen, failed])
    assert told(response) == [
        "1 badge is looked up at Credly; its history will say what Credly answers. If it says nothing within a minute, "
        "ask again.",
        "1 badge has no Credly id yet, so it is tried again; if Credly holds it already, that one is taken over.",
        "1 badge has no Credly id, so there is nothing to look up now.",
    ]
    assert nudged(callbacks) == [("recheck", [row.pk]), ("issue", [[failed.pk]])]
    assert sorted(key for key, _ in logged()) == sorted([str(row.pk), str(failed.pk)])
    stages.recheck(row.pk)
    assert reread(row).revoked_by == "credly"
    assert [entry[::2] for entry in history(row)][-2:] == [("re-check", "operator"), ("re-check", "")]


def test_a_reason_that_looks_like_markup_is_shown_as_text(operator: Client):
    row = held_badge()
    response = act(operator, "revoke", [row], from_page=1, confirmed=1, reason="<b>cheated</b>")
    assert b"<b>cheated</b>" not in response.content
    assert "&lt;b&gt;cheated" in response.content.decode()


def test_no_page_title_names_a_learner(operator: Client):
    row = held_badge(learner=learner(username="dana", name="Dana Moe"))
    for response in (operator.get(page_url(row)), act(operator, "revoke", [row])):
        title = response.content.decode().split("<title>")[1].split("</title>")[0].lower()
        assert "dana" not in title
