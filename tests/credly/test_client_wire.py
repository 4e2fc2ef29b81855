"""What broken connections come to, what is kept off the wire, and what never shows in logs."""

import base64
import gzip
import logging
import socket
import threading
from collections.abc import Iterator

import pytest

from pipeline.credly.client import CredlyClient, Limits, pooled_session
from pipeline.credly.outcomes import Confirmed, Unavailable, Unknown
from tests.credly.scripted_server import (
    ScriptedServer,
    data,
    hang_up,
    http,
    refusal,
    reset,
    stay_silent,
    then,
)
from tests.credly.test_client_outcomes import BADGE, ORGANIZATION, REQUEST, TEMPLATE, badge

KEY = "s3cret-key"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


def client_of(url: str, **limits: float) -> CredlyClient:
    return CredlyClient(url, ORGANIZATION, KEY, limits=Limits(**{"connect": 3, "read": 5, "deadline": 5, **limits}))


def test_a_refused_connection_leaves_reads_and_writes_unavailable():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    client = client_of(f"http://127.0.0.1:{port}/v1")
    assert isinstance(client.issue(REQUEST), Unavailable)
    assert isinstance(client.badge(BADGE), Unavailable)


def test_a_name_that_does_not_resolve_leaves_a_write_unavailable(monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert isinstance(client_of("http://credly.invalid/v1").issue(REQUEST), Unavailable)


def test_a_connection_that_is_never_accepted_leaves_a_write_unavailable():
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        client = client_of(f"http://127.0.0.1:{full.getsockname()[1]}/v1", connect=0.2, read=0.2)
        outcome = client.issue(REQUEST)
        for each in waiting:
            each.close()
    assert isinstance(outcome, Unavailable)


CUT = b'HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n{"data": {'
CUT_CHUNKS = b'HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{"data":\r\n'
BREAKS = {
    "silence": stay_silent,
    "hang-up": hang_up,
    "reset": reset,
    "reset in the status line": then(b"HTTP/1.1 20", reset),
    "silence in the headers": then(b"HTTP/1.1 201 Created\r\nContent-", stay_silent),
    "no HTTP at all": then(b"SSH-2.0-OpenSSH_9.6\r\n", hang_up),
    "silence in the body": then(CUT, stay_silent),
    "hang-up in the body": then(CUT, hang_up),
    "reset in the body": then(CUT, reset),
    "hang-up between chunks": then(CUT_CHUNKS, hang_up),
    "hang-up in a chunk": then(CUT_CHUNKS + b"20\r\nabc", hang_up),
    "a chunk size that is none": then(CUT_CHUNKS + b"zz\r\nabc", hang_up),
    "hang-up in a refusal": then(CUT.replace(b"201", b"422"), hang_up),
    "a body that is not gzip": http(201, b"not gzip", {"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("reply", BREAKS.values(), ids=BREAKS.keys())
def test_a_break_after_sending_leaves_a_write_unknown_and_a_read_unavailable(server, reply):
    client = client_of(server.url, read=0.2)
    server.replies = [reply, reply, reply]
    assert isinstance(client.issue(REQUEST), Unknown)
    assert isinstance(client.revoke(BADGE, "withdrawn"), Unknown)
    assert isinstance(client.find_badges(TEMPLATE), Unavailable)
    assert len(server.requests) == 3, "nothing may be sent twice"


@pytest.mark.parametrize("status", [200, 302, 422])
def test_a_dripping_body_is_given_up_at_the_deadline(server, status):
    head, body = data(badge(), status).split(b"\r\n\r\n", 1)
    left = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(head + b"\r\nLocation: /elsewhere\r\n\r\n")
        try:
            for byte in body:
                connection.sendall(bytes([byte]))
                left.wait(0.01)
        except OSError:
            left.set()

    server.replies = [drip]
    outcome = client_of(server.url, deadline=0.2).badge(BADGE)
    assert isinstance(outcome, Unavailable)
    assert status == 302 or "too slowly" in outcome.reason
    assert left.wait(10), "the client must leave before the whole body has come"


def test_a_compressed_body_counts_unpacked(server):
    server.replies = [http(200, gzip.compress(data(badge()).split(b"\r\n\r\n", 1)[1]), {"Content-Encoding": "gzip"})]
    assert isinstance(client_of(server.url).badge(BADGE), Confirmed)
    bomb = gzip.compress(b"[" + b" " * 5_000_000)
    server.replies = [http(200, bomb, {"Content-Encoding": "gzip"})]
    outcome = client_of(server.url, body=1_000_000).badge(BADGE)
    assert isinstance(outcome, Unavailable)
    assert "too long" in outcome.reason


def test_the_key_goes_as_user_name_with_an_empty_password(server):
    server.replies = [data(badge())]
    client_of(server.url).badge(BADGE)
    assert server.requests[0].headers["Authorization"] == "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()


def test_a_netrc_or_a_proxy_in_the_environment_changes_nothing(server, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    server.replies = [data(badge())]
    assert isinstance(client_of(server.url).badge(BADGE), Confirmed)
    assert base64.b64encode(f"{KEY}:".encode()).decode() in server.requests[0].headers["Authorization"]


def test_no_cookie_is_kept(server):
    answer = data(badge()).replace(b"\r\n\r\n", b"\r\nSet-Cookie: session=1; Path=/\r\n\r\n")
    server.replies = [answer, answer]
    client = client_of(server.url)
    client.badge(BADGE)
    client.badge(BADGE)
    assert server.requests[1].headers["Cookie"] is None


def test_calls_share_a_kept_open_connection(server):
    server.replies = [data(badge()), refusal(404, "no"), http(500), data(badge(), 201)]
    session = pooled_session(1)
    for _ in range(3):
        CredlyClient(server.url, ORGANIZATION, KEY, session=session).badge(BADGE)
    assert isinstance(CredlyClient(server.url, ORGANIZATION, KEY, session=session).issue(REQUEST), Confirmed)
    assert server.connections == 1


def test_neither_key_nor_personal_data_shows_in_logs_or_reprs(server, caplog):
    caplog.set_level(logging.DEBUG)
    personal = badge(recipient_email=REQUEST.recipient_email, issuer_earner_id="lms-4711")
    server.replies = [
        data(personal, 201),
        data([personal], total_pages=1),
        refusal(422, f"{REQUEST.recipient_email} is invalid"),
        refusal(401, f"{KEY} is dead"),
        reset,
        then(b"HTTP/1.1 200 OK\r\nbroken header\r\n\r\n", hang_up),
    ]
    client = client_of(server.url)
    outcomes = [
        client.issue(REQUEST),
        client.find_badges(TEMPLATE, recipient_email=REQUEST.recipient_email),
        client.issue(REQUEST),
        client.badge(BADGE),
        client.find_badges(TEMPLATE, recipient_email=REQUEST.recipient_email),
        client.find_badges(TEMPLATE, recipient_email=REQUEST.recipient_email),
    ]
    assert len(server.requests) == 6
    shown = f"{caplog.text} {client!r} {REQUEST!r} {outcomes!r}"
    assert "/badges?..." in caplog.text, "urllib3's own lines must be among those looked at"
    encoded = base64.b64encode(f"{KEY}:".encode()).decode()
    for secret in (KEY, encoded, "dana", "Dana", "Moe", "learners.example"):
        assert secret not in shown
