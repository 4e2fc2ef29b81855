"""What each method asks Credly, how listings are read, and which fields come back."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from pipeline.credly.client import (
    CredlyClient,
    CredlyEvent,
    IssuedBadge,
    IssueRequest,
    OrganizationInfo,
    TemplateInfo,
)
from pipeline.credly.outcomes import Confirmed, Rejected, Unavailable
from tests.credly.scripted_server import ScriptedServer, data, http, refusal
from tests.credly.test_client_outcomes import BADGE, ORGANIZATION, TEMPLATE, badge

HOME = f"/v1/organizations/{ORGANIZATION}"
EVENT = UUID("5e1f0a77-93d8-4c0f-a8a3-b0b3f6a3b7c2")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def client(server: ScriptedServer) -> CredlyClient:
    return CredlyClient(server.url + "/", ORGANIZATION, "k3y")


def numbered(number: int, **changes: Any) -> dict[str, Any]:
    return badge(id=str(UUID(int=number)), **changes)


def ids(outcome: object) -> list[int]:
    assert isinstance(outcome, Confirmed)
    return [item.id.int for item in outcome.value]


def event(**changes: Any) -> dict[str, Any]:
    return {
        "id": str(EVENT),
        "event_type": "badge.state.changed",
        "organization_id": str(ORGANIZATION),
        "occurred_at": "2026-02-04T08:15:02.000Z",
        **changes,
    }


def test_issue_posts_the_required_fields_and_reads_the_badge(server, client):
    server.replies = [
        data(
            badge(
                recipient_email="dana@learners.example",
                issuer_earner_id="lms-4711",
                issued_at="2026-02-03T08:15:00.000Z",
                replacement_badge_id=None,
                replaces_badge_id=str(EVENT),
                unheard_of={"field": 1},
            ),
            201,
        )
    ]
    earned = datetime(2026, 2, 3, 9, 15, 0, 999_999, tzinfo=timezone(timedelta(hours=1)))
    request = IssueRequest(TEMPLATE, "dana@learners.example", "Dana", "Møe", earned, "lms-4711")
    assert client.issue(request) == Confirmed(
        IssuedBadge(
            BADGE,
            "pending",
            TEMPLATE,
            "dana@learners.example",
            "lms-4711",
            datetime(2026, 2, 3, 8, 15, tzinfo=UTC),
            None,
            EVENT,
        )
    )
    sent = server.requests[0]
    assert (sent.method, sent.target) == ("POST", f"{HOME}/badges")
    assert (sent.headers["Content-Type"], sent.headers["Accept"]) == ("application/json", "application/json")
    assert sent.json == {
        "badge_template_id": str(TEMPLATE),
        "recipient_email": "dana@learners.example",
        "issued_to_first_name": "Dana",
        "issued_to_last_name": "Møe",
        "issued_at": "2026-02-03 08:15:00 +0000",
        "issuer_earner_id": "lms-4711",
    }


def test_a_time_without_zone_cannot_be_requested():
    with pytest.raises(ValueError, match="time zone"):
        IssueRequest(TEMPLATE, "dana@learners.example", "Dana", "Moe", datetime(2026, 2, 3), "lms-4711")


def test_revoke_puts_the_reason(server, client):
    server.replies = [data(badge(state="revoked"))]
    assert isinstance(client.revoke(BADGE, "Course result withdrawn"), Confirmed)
    assert (server.requests[0].method, server.requests[0].target) == ("PUT", f"{HOME}/badges/{BADGE}/revoke")
    assert server.requests[0].json == {"reason": "Course result withdrawn"}


def test_a_lookup_encodes_its_values(server, client):
    server.replies = [data([])]
    assert client.find_badges(
        TEMPLATE, issuer_earner_id="lms-4711", recipient_email="dana+a&b=c@learners.example"
    ) == Confirmed([])
    sent = server.requests[0]
    assert sent.path == f"{HOME}/badges"
    assert "dana%2Ba%26b%3Dc%40learners.example" in sent.target
    assert sent.query["filter"] == (
        f"badge_template_id::{TEMPLATE}|issuer_earner_id::lms-4711"
        "|recipient_email::dana+a&b=c@learners.example|state::pending,accepted"
    )


@pytest.mark.parametrize("address", ["a|b@learners.example", "a::b@learners.example", '"a,b"@learners.example'])
def test_a_value_that_the_filter_cannot_carry_is_still_looked_up(server, client, address):
    server.replies = [data([numbered(1, recipient_email="x@y.example"), numbered(2, recipient_email=address)])] * 2
    assert ids(client.find_badges(TEMPLATE, recipient_email=address)) == [2]
    assert server.requests[0].query["filter"] == f"badge_template_id::{TEMPLATE}|state::pending,accepted"


def test_a_lookup_trusts_no_filtering_but_its_own(server, client):
    mine = {"issuer_earner_id": "lms-1", "recipient_email": "Dana@Learners.example"}
    everything = [
        numbered(1, **mine),
        numbered(2, **mine, state="accepted"),
        numbered(3, **mine, state="revoked"),
        numbered(4, **mine | {"issuer_earner_id": "lms-10"}),
        numbered(5, **mine | {"issuer_earner_id": None}),
        numbered(6, **mine | {"recipient_email": "other@learners.example"}),
        numbered(7, **mine | {"recipient_email": None}),
        numbered(8, **mine, badge_template={"id": str(EVENT)}),
        numbered(9, **mine | {"issuer_earner_id": 1}),
    ]
    server.replies = [data(everything, total_pages=1)] * 5

    def found(**wanted: Any) -> list[int]:
        return ids(client.find_badges(TEMPLATE, **wanted))

    assert found(issuer_earner_id="lms-1", recipient_email="dana@learners.example") == [1, 2]
    assert found(recipient_email="dana@learners.example") == [1, 2, 4, 5, 9]
    assert found(issuer_earner_id="1") == [9]
    assert found(issuer_earner_id="lms-1", states=("revoked",)) == [3]
    assert found(issuer_earner_id="lms-1", states=()) == [1, 2, 3, 6, 7]


def test_a_listing_asks_for_each_page_by_number_with_its_own_filter(server, client):
    elsewhere = {"next_page_url": "https://elsewhere.example/api/v1/badges?page=2", "total_pages": 3}
    server.replies = [
        data([numbered(1), numbered(2)], **elsewhere),
        data([numbered(2), numbered(3)], **elsewhere),
        data([numbered(4)], **elsewhere),
    ]
    assert ids(client.find_badges(TEMPLATE)) == [1, 2, 3, 4]
    assert [request.query["page"] for request in server.requests] == ["1", "2", "3"]
    assert len({request.query["filter"] for request in server.requests}) == 1


@pytest.mark.parametrize("metadata", [{}, {"total_pages": "many"}, {"total_pages": None}])
def test_a_listing_without_page_count_ends_with_the_first_page_that_brings_nothing_new(server, client, metadata):
    server.replies = [data([numbered(1)], **metadata), data([numbered(2)], **metadata), data([], **metadata)]
    assert ids(client.find_badges(TEMPLATE)) == [1, 2]
    server.replies = [data([numbered(1)], **metadata)] * 2
    assert ids(client.find_badges(TEMPLATE)) == [1]


@pytest.mark.parametrize("total", [0, 1])
def test_an_empty_listing_is_one_call(server, client, total):
    server.replies = [data([], total_pages=total)]
    assert client.find_badges(TEMPLATE) == Confirmed([])


def test_a_listing_that_never_ends_is_given_up(server, client, monkeypatch):
    monkeypatch.setattr("pipeline.credly.client.MOST_PAGES", 3)
    server.replies = [data([numbered(number)], total_pages=number + 1) for number in range(1, 5)]
    assert isinstance(client.find_badges(TEMPLATE), Unavailable)
    assert len(server.requests) == 3


def test_a_listing_that_breaks_on_a_later_page_is_no_listing(server, client):
    server.replies = [data([numbered(1)], total_pages=2), http(502)]
    assert isinstance(client.find_badges(TEMPLATE), Unavailable)


@pytest.mark.parametrize("spoiled", [[numbered(1), {"id": "?"}], [None], {"id": "x"}, "text"])
def test_a_listing_with_an_unreadable_item_is_no_listing(server, client, spoiled):
    server.replies = [data(spoiled, total_pages=1)]
    assert isinstance(client.find_badges(TEMPLATE), Unavailable)


def test_a_badge_tells_its_replacement(server, client):
    server.replies = [
        data(badge(state="replaced", replacement_badge_id=str(EVENT))),
        refusal(404, "Not found"),
    ]
    outcome = client.badge(BADGE)
    assert isinstance(outcome, Confirmed)
    assert outcome.value.replacement_badge_id == EVENT
    assert client.badge(BADGE) == Rejected(404, "Not found")
    assert server.requests[0].target == f"{HOME}/badges/{BADGE}"


def test_the_organization_is_read(server, client):
    server.replies = [data({"id": str(ORGANIZATION), "name": "Example Academy", "bio": None})]
    assert client.organization() == Confirmed(OrganizationInfo(ORGANIZATION, "Example Academy"))
    assert server.requests[0].target == HOME


def test_templates_are_listed_by_state_and_read_with_their_owner(server, client):
    bare = {"id": str(TEMPLATE), "name": "Intro", "state": "active"}
    full = {
        **bare,
        "id": str(EVENT),
        "description": "Finished.",
        "image_url": "https://images.credly.example/1.png",
        "owner": {"type": "Organization", "id": str(ORGANIZATION)},
        "allow_duplicate_badges": True,
    }
    archived = {**bare, "id": str(BADGE), "state": "archived"}
    server.replies = [data([bare, full, archived], total_pages=1), data(full)]
    intro = TemplateInfo(TEMPLATE, "Intro", "", "active", "", None, allow_duplicate_badges=False)
    whole = TemplateInfo(
        EVENT,
        "Intro",
        "Finished.",
        "active",
        "https://images.credly.example/1.png",
        ORGANIZATION,
        allow_duplicate_badges=True,
    )
    assert client.templates() == Confirmed([intro, whole])
    assert client.template(EVENT) == Confirmed(whole)
    assert server.requests[0].path == f"{HOME}/badge_templates"
    assert server.requests[0].query["filter"] == "state::active"
    assert server.requests[1].target == f"{HOME}/badge_templates/{EVENT}"


def test_an_event_names_its_subject_when_credly_does(server, client):
    server.replies = [
        data(event(badge=badge(state="accepted"))),
        data(event(event_type="badge.deleted", badge={"id": str(BADGE)})),
        data(event(event_type="badge_template.changed", badge_template={"id": str(TEMPLATE), "state": "archived"})),
        data(event(event_type="badge.deleted")),
    ]
    moment = datetime(2026, 2, 4, 8, 15, 2, tzinfo=UTC)
    read = [client.event(EVENT) for _ in range(4)]
    assert read == [
        Confirmed(CredlyEvent(EVENT, "badge.state.changed", ORGANIZATION, moment, BADGE, None)),
        Confirmed(CredlyEvent(EVENT, "badge.deleted", ORGANIZATION, moment, BADGE, None)),
        Confirmed(CredlyEvent(EVENT, "badge_template.changed", ORGANIZATION, moment, None, TEMPLATE)),
        Confirmed(CredlyEvent(EVENT, "badge.deleted", ORGANIZATION, moment, None, None)),
    ]
    assert server.requests[0].target == f"{HOME}/events/{EVENT}"


@pytest.mark.parametrize(
    "changes",
    [
        {"occurred_at": None},
        {"occurred_at": "late"},
        {"organization_id": None},
        {"badge": "x"},
        {"badge": {"id": 1}},
    ],
)
def test_an_event_that_cannot_be_read_leaves_the_call_unavailable(server, client, changes):
    server.replies = [data(event(**changes))]
    assert isinstance(client.event(EVENT), Unavailable)


def test_events_are_listed_over_all_pages(server, client):
    server.replies = [
        data([event(id=str(UUID(int=1)))], total_pages=2),
        data([event(id=str(UUID(int=2)), occurred_at="2026-02-04 08:15:02")], total_pages=2),
    ]
    outcome = client.events()
    assert ids(outcome) == [1, 2]
    assert [request.path for request in server.requests] == [f"{HOME}/events"] * 2


@pytest.mark.parametrize(("call", "listing"), [("badge_page", "badges"), ("event_page", "events")])
def test_one_page_of_all_badges_or_events_is_one_call(server, client, call, listing):
    item = numbered(1, state="revoked") if listing == "badges" else event()
    server.replies = [data([item], total_pages=9)]
    outcome = getattr(client, call)(7)
    assert isinstance(outcome, Confirmed)
    assert (len(outcome.value.items), outcome.value.total_pages) == (1, 9)
    [request] = server.requests
    assert (request.path, request.query["page"], "filter" in request.query) == (f"{HOME}/{listing}", "7", False)


def test_text_that_a_database_refuses_is_cleaned(server, client):
    server.replies = [
        http(200, b'{"data": {"id": "%s", "name": "A\\u0000cademy \\ud800"}}' % str(ORGANIZATION).encode())
    ]
    assert client.organization() == Confirmed(OrganizationInfo(ORGANIZATION, "Academy ?"))
