"""The client against the emulated Credly: what Credly holds afterwards decides."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from pipeline.credly.client import CredlyClient, IssuedBadge, IssueRequest, Limits
from pipeline.credly.outcomes import (
    Confirmed,
    Duplicate,
    Outcome,
    Rejected,
    Throttled,
    Unauthorized,
    Unavailable,
    Unknown,
)
from tests.credly.emulated_credly import Academy, EmulatedCredly


@pytest.fixture
def client(academy: Academy) -> CredlyClient:
    return client_of(academy, academy.key)


def client_of(academy: Academy, key: str) -> CredlyClient:
    limits = Limits(connect=3, read=0.5, deadline=1)
    return CredlyClient(academy.api, UUID(academy.organization), key, limits=limits)


def request_for(academy: Academy, email: str = "dana+lms@learners.example", learner: str = "4711") -> IssueRequest:
    earned = datetime(2026, 2, 3, 8, 15, tzinfo=UTC)
    return IssueRequest(UUID(academy.template), email, "Dana", "Moe", earned, learner)


def badge_of(outcome: Outcome[IssuedBadge]) -> IssuedBadge:
    assert isinstance(outcome, Confirmed)
    return outcome.value


def posts(emulator: EmulatedCredly) -> int:
    return sum(call["method"] == "POST" for call in emulator.requests())


def test_a_badge_is_issued_read_found_and_revoked(client, academy, emulator):
    issued = badge_of(client.issue(request_for(academy)))
    assert issued.issued_at == datetime(2026, 2, 3, 8, 15, tzinfo=UTC)
    assert client.badge(issued.id) == Confirmed(issued)
    for wanted in ({"issuer_earner_id": "4711"}, {"recipient_email": "DANA+lms@learners.example"}):
        assert client.find_badges(issued.template, **wanted) == Confirmed([issued])
    assert badge_of(client.revoke(issued.id, "withdrawn")).state == "revoked"
    assert client.find_badges(issued.template, issuer_earner_id="4711") == Confirmed([])
    assert [badge["state"] for badge in emulator.ledger()] == ["revoked"]


def test_a_second_badge_for_the_same_learner_is_a_duplicate_even_with_another_address(client, academy, emulator):
    badge_of(client.issue(request_for(academy)))
    for email in ("dana+lms@learners.example", "moe@learners.example"):
        outcome = client.issue(request_for(academy, email))
        assert isinstance(outcome, Duplicate)
        assert "learners.example" not in outcome.message
    assert len(emulator.ledger()) == 1


def test_an_archived_template_refuses_for_good(client, academy, emulator):
    emulator.control("POST", f"templates/{academy.template}/state", {"state": "archived"})
    outcome = client.issue(request_for(academy))
    assert isinstance(outcome, Rejected)
    assert outcome.status == 422
    assert client.templates() == Confirmed([])


def test_what_credly_does_not_know_is_rejected_with_404(client):
    for outcome in (client.badge(uuid4()), client.template(uuid4()), client.event(uuid4())):
        assert isinstance(outcome, Rejected)
        assert outcome.status == 404


def test_a_wrong_key_is_unauthorized(academy):
    outcome = client_of(academy, "wrong").organization()
    assert isinstance(outcome, Unauthorized)
    assert outcome.status == 401


@pytest.mark.parametrize(
    "preset", ["timeout-after-success", "reset-after-success", "slow-drip", "truncated-json", "cut-json"]
)
def test_a_lost_answer_is_unknown_and_looking_it_up_finds_the_one_badge(client, academy, emulator, preset):
    emulator.fault(preset, match={"method": "POST"}, times=1)
    assert isinstance(client.issue(request_for(academy)), Unknown)
    found = client.find_badges(UUID(academy.template), issuer_earner_id="4711")
    assert isinstance(found, Confirmed)
    assert [str(badge.id) for badge in found.value] == [badge["id"] for badge in emulator.ledger()]
    assert len(found.value) == 1
    assert posts(emulator) == 1


@pytest.mark.parametrize(
    ("preset", "write", "read"),
    [
        ("401", Unauthorized, Unauthorized),
        ("403", Unauthorized, Unauthorized),
        ("422-duplicate", Duplicate, Rejected),
        ("422-archived", Rejected, Rejected),
        ("429", Throttled, Throttled),
        ("429-bare", Throttled, Throttled),
        ("500", Unknown, Unavailable),
        ("502-html", Unknown, Unavailable),
        ("reset-before", Unknown, Unavailable),
    ],
)
def test_a_fault_before_the_effect_leaves_nothing_at_credly(client, academy, emulator, preset, write, read):
    emulator.fault(preset, times=2)
    assert isinstance(client.issue(request_for(academy)), write)
    assert isinstance(client.organization(), read)
    assert emulator.ledger() == []
    assert posts(emulator) == 1


def test_throttling_tells_credlys_time(client, emulator):
    emulator.fault("429", retry_after=7)
    assert client.organization() == Throttled(7)


def test_everything_is_listed_when_it_takes_more_than_one_page(client, academy, emulator):
    for number in range(51):
        badge_of(client.issue(request_for(academy, f"learner{number}@learners.example", str(number))))
    found = client.find_badges(UUID(academy.template))
    assert isinstance(found, Confirmed)
    assert {str(badge.id) for badge in found.value} == {badge["id"] for badge in emulator.ledger()}
    events = client.events()
    assert isinstance(events, Confirmed)
    assert len({event.badge_id for event in events.value if event.event_type == "badge.created"}) == 51
    assert client.event(events.value[0].id) == Confirmed(events.value[0])


def test_the_organization_and_its_templates_are_read(client, academy):
    organization = client.organization()
    assert isinstance(organization, Confirmed)
    assert (str(organization.value.id), organization.value.name) == (academy.organization, "Example Academy")
    listed = client.templates()
    assert isinstance(listed, Confirmed)
    assert [(str(each.id), each.name, str(each.owner)) for each in listed.value] == [
        (academy.template, "Intro Course", academy.organization)
    ]
    assert client.template(UUID(academy.template)) == Confirmed(listed.value[0])
