"""Which outcome each answer of Credly comes to (facts 8.1, 8.2; design section 5)."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from uuid import UUID

import pytest
import requests

from pipeline.credly.client import CredlyClient, IssueRequest, Limits, pooled_session
from pipeline.credly.outcomes import (
    Confirmed,
    Duplicate,
    Rejected,
    Throttled,
    Unauthorized,
    Unavailable,
    Unknown,
)
from tests.credly.scripted_server import ScriptedServer, data, http, refusal

ORGANIZATION = UUID("7d1b0f5e-2a44-4c0f-8e0c-5b1d8f6c9a02")
TEMPLATE = UUID("3b0f2c6a-1a6e-4f29-8d53-7f0c3a5f9e21")
BADGE = UUID("9a6d5c1e-3f7b-4d2a-bb1d-64f0a0c2d915")
REQUEST = IssueRequest(
    TEMPLATE, "dana+lms@learners.example", "Dana", "Moe", datetime(2026, 2, 3, 8, 15, tzinfo=UTC), "lms-4711"
)
HTML = b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"


def badge(**changes: Any) -> dict[str, Any]:
    return {"id": str(BADGE), "state": "pending", "badge_template": {"id": str(TEMPLATE)}, **changes}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def client(server: ScriptedServer) -> CredlyClient:
    return CredlyClient(server.url, ORGANIZATION, "k3y", limits=Limits(read=5, deadline=5, body=100_000))


@pytest.mark.parametrize("status", [400, 402, 404, 409, 410, 413, 422, 451])
def test_a_refusal_is_final_and_carries_its_status_and_credlys_message(server, client, status):
    server.replies = [refusal(status, "Validation failed: no"), refusal(status, "No such badge")]
    assert client.issue(REQUEST) == Rejected(status, "Validation failed: no")
    assert client.badge(BADGE) == Rejected(status, "No such badge")


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    "body", [b"", b"HTTP Token: Access denied.", b'{"data": {"message": "Unauthorized"}}', HTML, b"{"]
)
def test_a_dead_key_is_recognized_whatever_the_body(server, client, status, body):
    server.replies = [http(status, body), http(status, body)]
    for outcome in (client.issue(REQUEST), client.organization()):
        assert isinstance(outcome, Unauthorized)
        assert outcome.status == status


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 599, 408, 301, 302, 303, 307, 308, 304, 999])
@pytest.mark.parametrize("body", [b"", HTML, b'{"data": {"message": "oops"}}'])
def test_an_unclear_status_leaves_a_write_unknown_and_a_read_unavailable(server, client, status, body):
    reply = http(status, b"" if status == 304 else body)
    server.replies = [reply, reply, reply]
    assert isinstance(client.issue(REQUEST), Unknown)
    assert isinstance(client.revoke(BADGE, "withdrawn"), Unknown)
    assert isinstance(client.badge(BADGE), Unavailable)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("session", [pooled_session(), requests.Session()], ids=["ours", "any"])
def test_a_redirect_is_not_followed_and_the_key_stays_home(server, status, session):
    with ScriptedServer() as elsewhere:
        elsewhere.replies = [data(badge())]
        server.replies = [http(status, headers={"Location": f"{elsewhere.url}/elsewhere"})]
        client = CredlyClient(server.url, ORGANIZATION, "k3y", session=session)
        assert isinstance(client.badge(BADGE), Unavailable)
        assert elsewhere.connections == 0


BROKEN_SUCCESSES = {
    "no body": b"",
    "html": HTML,
    "cut json": b'{"data": {"id": "9a6d',
    "not utf-8": b'{"data": {"id": "\xff\xfe\xe9"}, "metadata": {}}',
    "not an object": b"[1, 2]",
    "no data": b'{"metadata": {}}',
    "null data": b'{"data": null}',
    "nested too deeply": b"[" * 50_000,
    "a number too long": b'{"data": ' + b"9" * 5000 + b"}",
    "too long": b'{"data": {}, "padding": "' + b"x" * 100_000 + b'"}',
    "no id": json.dumps({"data": {"state": "pending", "badge_template": {"id": str(TEMPLATE)}}}).encode(),
    "bad id": json.dumps({"data": badge(id="../../etc")}).encode(),
    "numeric id": json.dumps({"data": badge(id=17)}).encode(),
    "no state": json.dumps({"data": badge(state=None)}).encode(),
    "state not text": json.dumps({"data": badge(state=["pending"])}).encode(),
    "no template": json.dumps({"data": badge(badge_template=None)}).encode(),
    "template as text": json.dumps({"data": badge(badge_template="3b0f")}).encode(),
    "bad time": json.dumps({"data": badge(issued_at="yesterday")}).encode(),
    "bad replacement": json.dumps({"data": badge(replacement_badge_id="?")}).encode(),
}


@pytest.mark.parametrize("body", BROKEN_SUCCESSES.values(), ids=BROKEN_SUCCESSES.keys())
def test_a_success_that_cannot_be_read_leaves_a_write_unknown_and_a_read_unavailable(server, client, body):
    server.replies = [http(201, body), http(200, body), http(200, body)]
    assert isinstance(client.issue(REQUEST), Unknown)
    assert isinstance(client.revoke(BADGE, "withdrawn"), Unknown)
    assert isinstance(client.badge(BADGE), Unavailable)


@pytest.mark.parametrize("status", [400, 404, 422])
@pytest.mark.parametrize(
    "body",
    [HTML, b" \r\n<html>", b"\xef\xbb\xbf<html>", b'{"data": {"message": "Validation fai', b"no healthy upstream"],
)
def test_a_refusal_by_something_in_front_of_credly_is_not_final(server, client, status, body):
    server.replies = [http(status, body), http(status, body)]
    assert isinstance(client.issue(REQUEST), Unknown)
    assert isinstance(client.badge(BADGE), Unavailable)


def test_an_answer_without_content_is_no_confirmation(server, client):
    server.replies = [b"HTTP/1.1 204 No Content\r\n\r\n"]
    assert isinstance(client.revoke(BADGE, "withdrawn"), Unknown)


def test_a_revocation_that_does_not_show_is_unknown(server, client):
    server.replies = [data(badge(state="accepted")), data(badge(state="revoked"))]
    assert isinstance(client.revoke(BADGE, "withdrawn"), Unknown)
    confirmed = client.revoke(BADGE, "withdrawn")
    assert isinstance(confirmed, Confirmed)
    assert confirmed.value.state == "revoked"


ALREADY = "already has this badge"


@pytest.mark.parametrize(
    ("message", "errors"),
    [
        (f"Validation failed: Recipient email {ALREADY}", []),
        ("Validation failed", [{"attribute": "recipient_email", "messages": [ALREADY]}]),
        ("Validation failed", [{"attribute": "user_id", "attribute_label": "User", "messages": ALREADY}]),
        (None, [{"attribute": "issuer_earner_id", "messages": ["is odd", ALREADY.upper()]}]),
    ],
)
def test_a_duplicate_is_recognized_by_its_phrase_wherever_it_stands(server, client, message, errors):
    server.replies = [refusal(422, message, errors)]
    outcome = client.issue(REQUEST)
    assert isinstance(outcome, Duplicate)
    assert ALREADY in outcome.message.lower()


def test_a_duplicate_phrase_means_duplicate_only_for_an_issue_answered_by_422(server, client):
    server.replies = [
        refusal(422, ALREADY),
        refusal(400, ALREADY),
        refusal(422, "Badge template is archived"),
    ]
    assert client.revoke(BADGE, "withdrawn") == Rejected(422, ALREADY)
    assert client.issue(REQUEST) == Rejected(400, ALREADY)
    assert client.issue(REQUEST) == Rejected(422, "Badge template is archived")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "HTTP 422 without a message"),
        (b"null", "HTTP 422 without a message"),
        (b"[]", "HTTP 422 without a message"),
        (b"{}", "HTTP 422 without a message"),
        (b'{"data": null}', "HTTP 422 without a message"),
        (b'{"data": []}', "HTTP 422 without a message"),
        (b'{"data": {"message": 7, "errors": 7}}', "HTTP 422 without a message"),
        (
            b'{"data": {"errors": [7, null, {"messages": 7}, {"messages": [7]}]}}',
            "HTTP 422 without a message",
        ),
        (b'{"data": {"errors": ["is wrong"]}}', "is wrong"),
        (b'{"data": {"errors": [{"attribute_label": "Name", "messages": "is wrong"}]}}', "Name is wrong"),
        (b'{"data": {"errors": [{"attribute": "name", "messages": ["a", "b"]}]}}', "name a; name b"),
        (b'{"message": "at the top", "errors": null}', "at the top"),
        (b'{"status": 404, "error": "Not Found"}', "Not Found"),
        (b'{"data": {"message": "caf\xe9"}}', "caf\ufffd"),
        (b'{"data": {"message": "two\\nlines\\u0000 and \\u001b[31mred \\ud800"}}', "two lines and [31mred"),
    ],
)
def test_any_body_of_a_refusal_is_survived(server, client, body, message):
    server.replies = [http(422, body)]
    assert client.issue(REQUEST) == Rejected(422, message)


def test_a_long_message_is_cut(server, client):
    server.replies = [refusal(422, "word " * 5000)]
    outcome = client.issue(REQUEST)
    assert isinstance(outcome, Rejected)
    assert len(outcome.message) == 500


def test_a_message_never_holds_an_address_or_the_key(server, client):
    server.replies = [
        refusal(422, "DANA+LMS@learners.example is invalid, k3y, also <other@learners.example>"),
        refusal(422, "Dana%2blms%40Learners.example is invalid"),
        refusal(403, "k3y lacks the right"),
        refusal(404, "no badge for dana+lms@learners.example"),
    ]
    assert client.issue(REQUEST) == Rejected(422, "[hidden] is invalid, [hidden], also <[hidden]>")
    assert client.issue(REQUEST) == Rejected(422, "[hidden] is invalid")
    assert client.organization() == Unauthorized(403, "[hidden] lacks the right")
    assert client.badge(BADGE) == Rejected(404, "no badge for [hidden]")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        ("1.5", 1.5),
        ("999999999999", 86_400),
        ("9" * 400, 86_400),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
        ("-5", None),
        ("nan", None),
        ("soon", None),
        ("", None),
    ],
)
def test_throttling_tells_the_seconds_to_wait(server, client, header, seconds):
    server.replies = [http(429, headers={"Retry-After": header}), http(429, HTML, {"Retry-After": header})]
    assert client.issue(REQUEST) == Throttled(seconds)
    assert client.templates() == Throttled(seconds)


def test_throttling_until_a_date_tells_the_seconds_until_then(server, client):
    until = datetime.now(UTC) + timedelta(hours=1)
    server.replies = [http(429, headers={"Retry-After": format_datetime(until, usegmt=True)})]
    outcome = client.organization()
    assert isinstance(outcome, Throttled)
    assert outcome.retry_after is not None
    assert 1800 < outcome.retry_after <= 3600


def test_throttling_without_a_time_says_so(server, client):
    server.replies = [http(429)]
    assert client.organization() == Throttled(None)
