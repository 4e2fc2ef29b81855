"""The issue stage and every outcome of a call; Credly's own ledger and log of calls are the witnesses."""

from datetime import timedelta
from importlib import import_module
from uuid import UUID

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.utils import timezone

from pipeline import stages
from pipeline.configuration import organizations
from pipeline.ledgers import holdings
from pipeline.models import Badge, CredlyState, Organization
from tests.ledgers.builders import at, claimed, learner, make_due, signals
from tests.ledgers.races import AT_ONCE, race
from tests.stages.conftest import NOBODY_LISTENS, Site, call_credly_at, issue, want

pytestmark = pytest.mark.django_db


def seconds_until_due(row: Badge) -> float:
    assert row.due_at is not None
    return (row.due_at - timezone.now()).total_seconds()


def outcomes(row: Badge) -> list[str]:
    return [entry.outcome for entry in row.history.all()]


def test_a_badge_is_issued_with_what_the_learner_earned(site):
    row = site.badge(learner=learner(name="Dana Maria Moe", lms_user_id=4711), earned_at=at(7))
    done = issue(row)
    [at_credly] = site.live()
    assert (row.credly_state, row.credly_id, row.due_at) == ("pending", UUID(at_credly["id"]), None)
    assert at_credly["template"] == str(site.template.uuid)
    assert at_credly["recipient_email"] == row.learner.email
    assert (at_credly["issued_to_first_name"], at_credly["issued_to_last_name"]) == ("Dana", "Maria Moe")
    assert at_credly["issuer_earner_id"] == "4711"
    assert "2026-05-01T12:07:00" in at_credly["issued_at"].replace(" ", "T")
    assert done.signals == [row.signals.get().pk]
    assert signals(row) == ["awarded"]


def test_a_second_nudge_makes_no_second_call(site):
    row = site.issued()
    for _ in range(3):
        assert stages.issue(row.pk) == holdings.Done()
        assert issue(row) == holdings.Done()
    assert len(site.calls()) == 1
    assert signals(row) == ["awarded"]


def test_a_badge_that_is_not_due_or_does_not_exist_is_left_alone(site):
    row = site.badge(due_at=timezone.now() + timedelta(hours=1))
    assert stages.issue(row.pk) == stages.issue(10**9) == holdings.Done()
    assert site.calls() == []


@pytest.mark.parametrize(
    ("name", "username", "first", "last"),
    [
        ("Dana", "dana", "Dana", "Dana"),
        ("", "dana99", "dana99", "dana99"),
        ("   ", "dana99", "dana99", "dana99"),
        (" Åsa\t Öberg  Lind ", "x", "Åsa", "Öberg Lind"),
        ("A" * 255, "x", "A" * 100, "A" * 100),
        ("田中 太郎", "x", "田中", "太郎"),
    ],
)
def test_credly_gets_a_first_and_a_last_name_whatever_the_learner_is_called(site, name, username, first, last):
    issue(site.badge(learner=learner(name=name, username=username)))
    [at_credly] = site.live()
    assert (at_credly["issued_to_first_name"], at_credly["issued_to_last_name"]) == (first, last)


@pytest.mark.parametrize("email", ["", "dana", "dana@", "dana moe@learners.example", "a@b@c.example"])
def test_without_an_email_address_a_badge_is_refused_before_any_call(site, email):
    row = site.badge(learner=learner(email=email))
    assert issue(row) == holdings.Done()
    assert (row.credly_state, row.due_at, row.standing) == ("failed", None, "awarded")
    assert "e-mail" in row.error
    assert email == "" or email not in row.error
    assert site.calls() == site.calls("GET", "") == []


def test_a_badge_whose_answer_was_lost_is_looked_up_although_the_email_became_unusable(site):
    """Credly may hold it: to give it up unseen would leave it there for good."""
    row = site.badge()
    site.fault("reset-after-success", times=1)
    issue(row)
    row.learner.email = ""
    row.learner.save()
    issue(row)
    want(row, "revoked")
    for _ in range(3):
        issue(row)
    assert site.live() == []


def test_a_duplicate_of_the_same_learner_is_adopted(site):
    row = site.badge()
    at_credly = site.academy.issued(
        issuer_earner_id=str(row.learner.lms_user_id), recipient_email="other@learners.example"
    )
    assert issue(row).signals == [row.signals.get().pk]
    assert (row.credly_state, str(row.credly_id)) == ("pending", at_credly["id"])
    assert len(site.live()) == 1
    assert any(outcome.startswith("adopted") for outcome in outcomes(row))


def test_a_duplicate_without_an_earner_id_is_adopted_by_its_email(site):
    row = site.badge()
    at_credly = site.academy.issued(issuer_earner_id=None, recipient_email=row.learner.email.upper())
    issue(row)
    assert (row.credly_state, str(row.credly_id)) == ("pending", at_credly["id"])
    assert len(site.live()) == 1


def test_a_duplicate_of_another_learner_with_the_same_email_is_not_adopted(site):
    row = site.badge()
    site.academy.issued(issuer_earner_id="someone else", recipient_email=row.learner.email)
    for _ in range(10):
        issue(row)
    assert (row.credly_state, row.credly_id, row.due_at) == ("failed", None, None)
    assert "already has this badge" in row.error
    assert signals(row) == []


def test_a_duplicate_that_credly_does_not_show_yet_is_looked_for_however_long_the_way_here_was(site):
    """A long outage must not use up the patience for something else."""
    row = site.badge(attempts=200)
    site.fault("422-duplicate", times=1)
    issue(row)
    assert row.credly_state == "issuing"
    issue(row)
    assert row.credly_state == "pending"


def test_a_learner_with_several_badges_of_ours_adopts_none_that_belongs_to_another_cycle(site):
    earlier = site.issued()
    want(earlier, "revoked")
    later = site.badge(learner=earlier.learner, cycle=2)
    Badge.objects.filter(pk=earlier.pk).update(credly_state=CredlyState.FAILED)
    issue(later)
    assert later.credly_id is None


def test_an_archived_template_fails_the_badge_with_credlys_words(site):
    site.emulator.control("POST", f"templates/{site.template.uuid}/state", {"state": "archived"})
    row = site.badge()
    issue(row)
    assert (row.credly_state, row.due_at) == ("failed", None)
    assert row.error.startswith("Credly says: ")
    assert "archived" in row.error
    assert signals(row) == []


def test_a_template_that_is_gone_fails_the_badge_and_it_can_be_driven_again(site):
    site.fault(status=404, body={"data": {"message": "Badge template not found"}})
    row = site.badge()
    issue(row)
    assert (row.credly_state, row.error) == ("failed", "Credly says: Badge template not found")
    site.heal()
    assert holdings.redrive(row)
    issue(row)
    assert (row.credly_state, row.error, len(site.live())) == ("pending", "", 1)


def test_credlys_words_are_kept_without_the_learners_address(site):
    row = site.badge()
    site.fault(status=422, body={"data": {"message": f"{row.learner.email} is not welcome"}})
    issue(row)
    assert "is not welcome" in row.error
    assert row.learner.email not in row.error + "".join(outcomes(row))


def test_a_throttled_badge_waits_as_long_as_credly_asks(site):
    site.fault("429", retry_after=90, times=1)
    row = site.badge()
    issue(row)
    assert row.credly_state == "none"
    assert 85 < seconds_until_due(row) <= 90
    Organization.objects.update(call_again_at=None)
    issue(row)
    assert row.credly_state == "pending"


def test_a_throttled_badge_backs_off_where_credly_names_no_time(site):
    site.fault("429-bare", times=1)
    row = site.badge()
    issue(row)
    assert row.credly_state == "none"
    assert 0 < seconds_until_due(row) <= 2


def test_while_nobody_listens_a_badge_is_tried_again_for_days(site, settings):
    row = site.badge()
    call_credly_at(NOBODY_LISTENS, settings)
    for attempt in range(1, 40):
        Organization.objects.update(call_again_at=None)
        issue(row)
        assert (row.credly_state, row.attempts) == ("none", attempt)
        assert 0 < seconds_until_due(row) <= 600
    call_credly_at(f"{site.emulator.api}/", settings)
    Organization.objects.update(call_again_at=None)
    issue(row)
    assert (row.credly_state, row.error, len(site.calls())) == ("pending", "", 1)


@pytest.mark.parametrize(
    ("preset", "is_there"),
    [
        ("reset-after-success", True),
        ("truncated-json", True),
        ("cut-json", True),
        ("reset-before", False),
        ("500", False),
        ("502-html", False),
    ],
)
def test_after_a_call_without_usable_answer_credly_is_looked_at_first(site, preset, is_there):
    site.fault(preset, times=1)
    row = site.badge()
    issue(row)
    assert row.credly_state == "issuing"
    assert seconds_until_due(row) > 9
    assert signals(row) == []
    looks = len(site.calls("GET"))
    issue(row)
    assert (row.credly_state, len(site.live())) == ("pending", 1)
    assert len(site.calls("GET")) > looks
    assert len(site.calls()) == (1 if is_there else 2)
    assert signals(row) == ["awarded"]


def test_after_a_timeout_credly_is_looked_at_first(site, impatient):
    site.fault("timeout-after-success", delay=1, times=1)
    row = site.badge()
    issue(row)
    assert row.credly_state == "issuing"
    issue(row)
    assert (row.credly_state, len(site.live()), len(site.calls())) == ("pending", 1, 1)


def allow_duplicates(emulator, site: Site, *, known: bool) -> None:
    """Credly lets a learner hold the site's badge twice; `known` here once the templates were synced."""
    template = emulator.control(
        "POST",
        "templates",
        {"organization": site.academy.organization, "name": "Again", "allow_duplicate_badges": True},
    )
    site.template.uuid = template.get("data", template)["id"]
    site.template.allows_duplicates = known
    site.template.save()


def test_to_try_again_blindly_would_have_issued_two(emulator, site):
    """The control: where the template allows duplicates, only the look keeps the second badge away."""
    allow_duplicates(emulator, site, known=False)
    careful, blind = site.badge(), site.badge()
    for row in (careful, blind):
        site.fault("reset-after-success", times=1)
        issue(row)
    Badge.objects.filter(pk=blind.pk).update(credly_state=CredlyState.NONE)
    for row in (careful, blind):
        issue(row)
    held = [row["issuer_earner_id"] for row in site.live()]
    assert held.count(str(careful.learner.lms_user_id)) == 1
    assert held.count(str(blind.learner.lms_user_id)) == 2


@pytest.mark.parametrize(("known", "held"), [(True, 1), (False, 2)])
def test_where_credly_allows_duplicates_it_is_looked_at_before_the_first_call(emulator, site, known, held):
    """After the database was restored, say, or for a badge from before our time.  Unknown, it is the control."""
    allow_duplicates(emulator, site, known=known)
    row = site.badge()
    earlier = site.academy.issued(
        badge_template_id=str(site.template.uuid),
        issuer_earner_id=str(row.learner.lms_user_id),
        recipient_email=row.learner.email,
    )
    issue(row)
    assert len(site.live()) == held
    assert (str(row.credly_id) == earlier["id"]) is known


def test_a_worker_that_died_after_its_call_leaves_one_badge(site):
    row = site.badge()
    claim = holdings.claim(holdings.due(row.pk))
    site.academy.issued(issuer_earner_id=str(row.learner.lms_user_id), recipient_email=row.learner.email)
    assert stages.issue(row.pk) == holdings.Done()
    assert claim is not None
    issue(row)
    assert (row.credly_state, len(site.live()), len(site.calls())) == ("pending", 1, 1)


@pytest.mark.parametrize("standing", ["awarded", "revoked"])
def test_a_worker_that_lost_its_claim_while_it_looked_writes_nothing_to_credly(site, standing):
    """Another worker is at it: two writes at once could be two badges."""
    row = site.badge()
    site.fault("reset-after-success" if standing == "revoked" else "reset-before", times=1)
    issue(row)
    if standing == "revoked":
        issue(row)
        want(row, "revoked")
        site.fault("reset-before", method="PUT", times=1)
        issue(row)
    writes = len(site.calls()) + len(site.calls("PUT", ""))
    late = claimed(row)
    claimed(row)
    step = import_module("pipeline.stages.issue")._STEPS[late.step]
    assert step(organizations.client(site.organization), late) == holdings.Done()
    assert len(site.calls()) + len(site.calls("PUT", "")) == writes


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_with_the_same_badge_one_calls_credly(site):
    for _ in range(3):
        row = site.badge()
        done = race(lambda row=row: stages.issue(row.pk))
        assert sorted(len(each.signals) for each in done) == [0] * (AT_ONCE - 1) + [1]
        assert len(site.calls()) == len(site.live()) == Badge.objects.count()


def test_html_from_something_in_front_of_credly_is_no_answer(site):
    site.fault("502-html", method="GET")
    site.fault("502-html")
    row = site.badge()
    for _ in range(3):
        issue(row)
    assert row.credly_state == "issuing"
    assert "html" not in row.error.lower()
    site.heal()
    issue(row)
    assert (row.credly_state, len(site.live())) == ("pending", 1)


def test_an_award_taken_back_before_any_call_makes_no_call_and_no_signal(site):
    row = site.badge()
    want(row, "revoked")
    assert issue(row) == holdings.Done()
    assert (row.credly_state, row.due_at) == ("none", None)
    assert site.calls() == []
    assert signals(row) == []


@pytest.mark.parametrize(("preset", "told"), [("reset-after-success", ["awarded", "revoked"]), ("reset-before", [])])
def test_an_award_taken_back_while_its_answer_is_missing_ends_with_nothing_at_credly(site, preset, told):
    site.fault(preset, times=1)
    row = site.badge()
    issue(row)
    want(row, "revoked")
    for _ in range(2):
        issue(row)
    assert site.live() == []
    assert row.credly_state == ("revoked" if told else "none")
    assert signals(row) == told
    assert len(site.calls()) == 1


def test_the_next_cycle_is_issued_only_after_credly_has_revoked_the_earlier_badge(site):
    earlier = site.issued()
    want(earlier, "revoked")
    later = site.badge(learner=earlier.learner, cycle=2)
    assert issue(later) == holdings.Done()
    assert (later.attempts, len(site.calls())) == (0, 1)
    assert later.due_at > timezone.now()
    assert issue(earlier).badges == [later.pk]
    assert len(stages.issue(later.pk).signals) == 1
    assert len(site.live()) == 1
    assert signals(earlier) + signals(later) == ["awarded", "revoked", "awarded"]


def test_a_badge_waits_while_its_organization_has_no_key(site):
    site.organization.api_key = None
    site.organization.save()
    row = site.badge()
    assert issue(row) == holdings.Done()
    assert (row.credly_state, row.attempts) == ("none", 0)
    assert "no API key" in row.error
    assert 50 < seconds_until_due(row) <= 60
    site.organization.api_key = site.academy.key
    site.organization.save()
    make_due(row)
    issue(row)
    assert (row.credly_state, row.error) == ("pending", "")


def test_a_badge_waits_while_the_stored_key_cannot_be_decrypted(site):
    table = site.organization._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET api_key = %s", [Fernet(Fernet.generate_key()).encrypt(b"the-key").decode()])
    row = site.badge()
    issue(row)
    assert (row.credly_state, site.calls()) == ("none", [])
    assert "can't be decrypted" in row.error


def test_a_key_in_an_unset_variable_is_missing_and_the_variable_is_named(site, monkeypatch):
    site.organization.api_key = "env:ACADEMY_KEY"
    site.organization.save()
    row = site.badge()
    issue(row)
    assert "ACADEMY_KEY" in row.error
    monkeypatch.setenv("ACADEMY_KEY", site.academy.key)
    Organization.objects.update(call_again_at=timezone.now())
    issue(row)
    assert row.credly_state == "pending"


def test_neither_the_key_nor_the_learner_shows_in_logs_or_history(site, caplog):
    caplog.set_level("DEBUG")
    row = site.badge(learner=learner(name="Dana Moe", username="danamoe"))
    for preset in ("401", "429", "500", "reset-after-success"):
        site.fault(preset, times=1)
        site.organization.refresh_from_db()
        issue(row)
        Organization.objects.update(gate_closed_at=None, gate_reason="", call_again_at=None)
    issue(row)
    assert row.credly_state == "pending"
    shown = caplog.text + "".join(outcomes(row)) + row.error
    assert caplog.text
    for secret in (site.academy.key, row.learner.email, "Dana Moe", "danamoe"):
        assert secret not in shown


def test_a_badge_that_raises_on_our_side_is_tried_again_later_and_says_so(site, monkeypatch, caplog):
    row = site.badge()
    with monkeypatch.context() as broken:
        broken.setattr(import_module("pipeline.stages.issue"), "_request", lambda _: 1 // 0)
        issue(row)
    assert (row.credly_state, row.error) == ("issuing", "ZeroDivisionError on our side.")
    assert row.due_at > timezone.now()
    assert row.learner.email not in caplog.text
    issue(row)
    assert row.credly_state == "pending"


def test_an_award_that_may_be_at_credly_is_cancelled_only_after_a_second_look(site):
    row = site.badge(credly_state="issuing")
    want(row, "revoked")
    issue(row)
    assert row.credly_state == "issuing"
    site.academy.issued(issuer_earner_id=str(row.learner.lms_user_id), recipient_email=row.learner.email)
    issue(row)
    issue(row)
    assert (row.credly_state, site.live()) == ("revoked", [])


def test_an_award_revoked_during_the_look_at_credly_is_not_issued_any_more(site, monkeypatch):
    row = site.badge(credly_state="issuing")
    module = import_module("pipeline.stages.issue")
    look = module._find

    def find_while_it_is_revoked(*arguments):
        found = look(*arguments)
        Badge.objects.filter(pk=row.pk).update(standing="revoked", attempts=0)
        return found

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(module, "_find", find_while_it_is_revoked)
        issue(row)
    assert site.calls() == []
    assert (row.credly_state, row.claim, row.due_at is not None) == ("issuing", None, True)
