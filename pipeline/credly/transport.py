"""One HTTP call to Credly: what is sent, how long it may take, and what came back.

Whether a call that broke can have had an effect is decided here; what an answer means, in ``verdict``.
"""

import http.client
import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import TypeVar

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth

from pipeline import measures
from pipeline.credly.outcomes import Outcome, Unavailable, Unknown
from pipeline.credly.parsing import Envelope
from pipeline.credly.verdict import Answer, verdict

T = TypeVar("T")

CONNECT_TIMEOUT = 3.05
"""Seconds to connect: a little above 3 s, TCP's first retransmission, so that one lost packet is survived."""

READ_TIMEOUT = 10.0
"""Seconds without a single byte: as Open edX's client allows (section 11; Credly documents no limit)."""

DEADLINE = 20.0
"""Seconds from the start of a call after which a body that still drips is given up (the last read may add one
READ_TIMEOUT)."""

LARGEST_BODY = 10 * 1024 * 1024
"""Bytes of a body that are read: fifty times a full page of 50 badges, so only a fault exceeds it."""

_CHUNK = 64 * 1024
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WIRE_ERRORS = (OSError, urllib3.exceptions.HTTPError, http.client.HTTPException)


@dataclass(frozen=True)
class Limits:
    """How long and how much one call may take: seconds, and bytes of body."""

    connect: float = CONNECT_TIMEOUT
    read: float = READ_TIMEOUT
    deadline: float = DEADLINE
    body: int = LARGEST_BODY


STANDARD = Limits()
"""The limits for calls to Credly; tests use shorter ones."""


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Sees no redirects: requests would read their bodies without limit even when told not to follow."""
        return None


def pooled_session(size: int = 10) -> requests.Session:
    """A session that up to ``size`` threads share, each finding a connection to Credly kept open.

    It keeps no cookies (nothing to share between threads or organizations), follows no redirects (the key
    must not travel to another host), repeats nothing and ignores the environment: a ``.netrc`` would replace
    our key, and a proxy variable would send it elsewhere. Who needs a proxy sets ``session.proxies``.
    """
    session = _Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=size, max_retries=0))
    return session


class Transport:
    """Calls below one base URL with one key. Thread-safe as far as its session is (``pooled_session``)."""

    def __init__(self, base_url: str, api_key: str, session: requests.Session, limits: Limits) -> None:
        self._base_url = base_url.rstrip("/")
        self._api_key = api_key
        self._session = session
        self._limits = limits

    def read(self, path: str, query: Mapping[str, str], parse: Callable[[Envelope], T]) -> Outcome[T]:
        """GET ``path`` (relative to the base URL) and parse the answer. Never Unknown, never Duplicate."""
        started = time.monotonic()
        answer = self._exchange("GET", path, query, None, Unavailable)
        hidden = (self._api_key,)
        outcome = verdict(answer, parse, Unavailable, hidden=hidden) if isinstance(answer, Answer) else answer
        _measure("GET", path, outcome, started)
        return outcome

    def write(
        self,
        method: str,
        path: str,
        payload: Mapping[str, object],
        parse: Callable[[Envelope], T],
        *,
        may_be_duplicate: bool = False,
        hidden: tuple[str, ...] = (),
    ) -> Outcome[T]:
        """Send ``payload`` as JSON, parse the answer. ``hidden`` texts are struck from Credly's messages."""
        started = time.monotonic()
        answer = self._exchange(method, path, {}, payload, Unknown)
        outcome: Outcome[T] = (
            verdict(answer, parse, Unknown, hidden=(self._api_key, *hidden), may_be_duplicate=may_be_duplicate)
            if isinstance(answer, Answer)
            else answer
        )
        _measure(method, path, outcome, started)
        return outcome

    def _exchange(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        payload: Mapping[str, object] | None,
        doubt: type[Unavailable] | type[Unknown],
    ) -> Answer | Unavailable | Unknown:
        give_up_at = time.monotonic() + self._limits.deadline
        headers = {"Accept": "application/json"}
        if payload is not None:
            headers["Content-Type"] = "application/json"
        try:
            with self._session.request(
                method,
                f"{self._base_url}/{path}",
                params=query,
                data=None if payload is None else json.dumps(payload).encode(),
                headers=headers,
                auth=HTTPBasicAuth(self._api_key.encode(), b""),
                timeout=(self._limits.connect, self._limits.read),
                allow_redirects=False,
                stream=True,
            ) as response:
                body, flaw = _body(response, give_up_at, self._limits.body)
                return Answer(response.status_code, response.headers.get("Retry-After"), body, flaw)
        except _WIRE_ERRORS as error:
            # Only the kind of error is told: its text holds the URL, and so perhaps an e-mail address.
            kind = _kind(error)
            if _never_sent(error):
                return Unavailable(f"no connection ({kind})")
            return doubt(f"no answer ({kind})")


def _measure(method: str, path: str, outcome: object, started: float) -> None:
    """How long a call took and how it ended; ids in its path are left out, since there is no end of them."""
    call = f"{method} {_UUID.sub('{id}', path)}"
    measures.CREDLY_SECONDS.add(time.monotonic() - started, call, type(outcome).__name__.lower())


def _kind(error: BaseException) -> str:
    """The name of the error that was first, which the libraries wrapped into others."""
    while error.__context__ is not None:
        error = error.__context__
    return type(error).__name__


def _never_sent(error: Exception) -> bool:
    """Whether no connection came about, so that Credly cannot have seen the call."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    cause = error.args[0] if isinstance(error, requests.ConnectionError) and error.args else None
    return isinstance(getattr(cause, "reason", None), urllib3.exceptions.NewConnectionError)


def _body(response: requests.Response, give_up_at: float, longest: int) -> tuple[bytes, str | None]:
    """The body and, if it is not whole, why. Each piece is taken as it comes, so that a drip is noticed."""
    body = bytearray()
    try:
        while piece := response.raw.read1(_CHUNK, decode_content=True):
            body += piece
            if len(body) > longest:
                return b"", "the body is too long"
            if time.monotonic() > give_up_at:
                return b"", "the body came too slowly"
    except _WIRE_ERRORS as error:
        return b"", f"the body broke off ({type(error).__name__})"
    return bytes(body), None


class _QueriesHidden(logging.Filter):
    """Strikes the query from URLs in urllib3's log lines: that of a look-up may hold an e-mail address."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = re.sub(r"\?[^\s'\")]*", "?...", record.getMessage()), ()
        return True


for _name in ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_QueriesHidden())
