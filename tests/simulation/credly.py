"""Credly for a simulation: the emulator's own ledger and answers, reached without a network, and what a network does.

The real client, its parsing and its verdicts run; `Line` is mounted where its HTTP connections would be.
"""

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import requests
from django.db import connection
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPResponse

from pipeline.credly.client import CredlyClient
from pipeline.credly.emulator import api, issuing
from pipeline.credly.emulator.call import Answer, Call
from pipeline.credly.emulator.errors import RefusalError
from pipeline.credly.emulator.records import Badge
from pipeline.credly.emulator.seeding import plant
from pipeline.credly.emulator.state import State
from pipeline.ledgers import claims
from tests.simulation.scheduler import Scheduler

BASE_URL = "http://credly.simulated/v1"
KEY = "the-key"

READ_TIMEOUT = 10.0
LATE = 9.9
"""Seconds: how long the client waits for an answer, and how long after that an effect may still come (`LATE_EFFECT`)."""

LONGEST_CALL = 32.0
HELD = ("pending", "accepted")
UUID_LENGTH = 36


class Broken(AssertionError):
    """A promise is broken."""


@dataclass(frozen=True)
class Fate:
    """What becomes of a call: when its effect comes (None: never) and when the caller hears of it, in seconds at most."""

    name: str
    effect: float | None = 0.0
    heard: float = 0.0
    status: int | None = None  # answered in place of the truth
    error: type[requests.RequestException] | None = None  # raised in place of an answer
    late: bool = False  # the effect comes after the caller gave up
    cut: bool = False  # half of the body


GOOD = (Fate("at once"), Fate("at once"), Fate("soon", effect=0.5, heard=1.0))
NO_USE = (
    Fate("no connection", effect=None, heard=3.0, error=requests.ConnectTimeout),
    Fate("429", effect=None, status=429),
    Fate("500 without effect", effect=None, status=500),
)
AWAY = (
    Fate("away", effect=None, heard=3.0, error=requests.ConnectTimeout),
    Fate("503", effect=None, status=503),
)
SLOW = (
    Fate("slow", effect=8.0, heard=9.9),
    Fate("drips", heard=LONGEST_CALL),
    Fate("heard by a process that slept", effect=1.0, heard=120.0),
)
LOST = (
    Fate("reset without effect", effect=None, error=requests.ConnectionError),
    Fate("502 after the effect", effect=0.5, heard=1.0, status=502),
    Fate("reset after the effect", effect=0.5, heard=1.0, error=requests.ConnectionError),
    Fate("half an answer", effect=0.5, heard=1.0, cut=True),
    Fate("late effect", heard=READ_TIMEOUT, error=requests.ReadTimeout, late=True),
    Fate("late effect", heard=READ_TIMEOUT, error=requests.ReadTimeout, late=True),
)
BAD = {"GET": NO_USE + SLOW + SLOW, "POST": NO_USE + SLOW + LOST, "PUT": NO_USE + SLOW + LOST}


class Ledger(State):
    """The emulator's state under the scheduler's clock."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        super().__init__()

    def now(self) -> datetime:
        return self._scheduler.wall()


class Credly:
    """One emulated Credly.  At every change it looks whether a learner holds two live badges of one template and value."""

    def __init__(self, scheduler: Scheduler, seed: dict[str, Any]) -> None:
        self._scheduler = scheduler
        self.ledger = Ledger(scheduler)
        plant(self.ledger, seed)
        self.fault_rate = 0.0
        self.key_dead = False
        self.away_until = 0.0
        self.learners_accept = scheduler.random.random() < 0.3
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.mount(BASE_URL, Line(self, scheduler))
        if scheduler.random.random() < 0.5:
            self.ledger.switches.revocable_states = [*HELD, "revoked"]

    def client(self, base_url: str, organization: UUID, key: str) -> CredlyClient:
        """Takes the place of the real client's factory: the same client, another line."""
        return CredlyClient(BASE_URL, organization, key, session=self._session)

    def live(self) -> list[tuple[int, str, UUID]]:
        """Learner, template and id of the badges that Credly holds."""
        held = [badge for badge in self.ledger.badges.values() if badge.state in HELD]
        return [(int(badge.issuer_earner_id or 0), badge.template.id, UUID(badge.id)) for badge in held]

    def state_of(self, credly_id: UUID | None) -> str | None:
        badge = self.ledger.badges.get(str(credly_id))
        return badge.state if badge else None

    def issued_at(self, credly_id: UUID) -> datetime:
        return self.ledger.badges[str(credly_id)].issued_at

    def serve(self, request: requests.PreparedRequest) -> Answer:
        """Act on a request, and answer."""
        if self.key_dead:
            return Answer(401, RefusalError(401, "Unauthorized").body())
        url = urlsplit(str(request.url))
        body = request.body if isinstance(request.body, bytes) else b""
        call = Call(
            state=self.ledger,
            method=str(request.method),
            path=url.path.removeprefix("/v1"),
            origin=BASE_URL.removesuffix("/v1"),
            arguments=parse_qs(url.query),
            authorization=request.headers["Authorization"],
            content_type=request.headers.get("Content-Type", ""),
            raw=body,
        )
        answer = api.answer(call)
        self._scheduler.note("at Credly", f"{request.method} {_place(request)} -> {answer.status}")
        if request.method != "GET":
            self._look(answer)
        return answer

    def _look(self, answer: Answer) -> None:
        held = Counter((learner, template) for learner, template, _ in self.live())
        for (learner, template), number in held.items():
            most = _may_hold(learner, template)
            if number > most:
                raise Broken(f"learner {learner} holds {number} live badges of template {template[-2:]}, not {most}")
        if answer.status == 201 and self.learners_accept and isinstance(answer.body, dict):
            badge = self.ledger.badges[answer.body["data"]["id"]]
            self._scheduler.at(self._scheduler.now + self._scheduler.random.uniform(1, 60), lambda: self._accept(badge))

    def _accept(self, badge: Badge) -> None:
        if badge.state == "pending":
            issuing.accept(self.ledger, badge)


def _may_hold(learner: int, template: str) -> int:
    """For how many values we reckon with a badge at Credly, which does not know the values; one without `per` at most.

    Asked past Django, so that nobody gives way here.
    """
    [number] = connection.connection.execute(
        "SELECT COUNT(DISTINCT badge.value) FROM pipeline_badge AS badge"
        " JOIN pipeline_learner AS learner ON learner.id = badge.learner_id"
        " JOIN pipeline_template AS template ON template.id = badge.template_id"
        " WHERE learner.lms_user_id = ? AND template.uuid = ? AND badge.credly_state NOT IN ('none', 'revoked')",
        [learner, UUID(template).hex],
    ).fetchone()
    return int(number)


class Line(BaseAdapter):
    """The line to Credly: carries requests, and loses answers."""

    def __init__(self, credly: Credly, scheduler: Scheduler) -> None:
        super().__init__()
        self._credly = credly
        self._scheduler = scheduler
        self._builder = HTTPAdapter()

    def close(self) -> None:
        """Nothing is open."""

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        scheduler, place = self._scheduler, f"{request.method} {_place(request)}"
        scheduler.point(f"before {place}", may_stall=False)
        fate = self._fate(str(request.method))
        answers: list[Answer] = []
        heard = scheduler.now + scheduler.random.uniform(0, fate.heard)
        if fate.late:
            heard = scheduler.now + fate.heard
        if fate.effect is not None:
            at = min(heard, scheduler.now + scheduler.random.uniform(0, fate.effect))
            at = heard + scheduler.random.choice((1.0, 5.0, LATE)) if fate.late else at
            scheduler.at(at, lambda: answers.append(self._credly.serve(request)))
            scheduler.advance(scheduler.now)
        if heard - scheduler.now > claims.CLAIM_LASTS.total_seconds():
            scheduler.oversleep()
        scheduler.point(f"the answer to {place}", until=heard)
        return self._hear(request, fate, answers)

    def _fate(self, method: str) -> Fate:
        chance = self._scheduler.random
        if self._scheduler.now < self._credly.away_until:
            return chance.choice(AWAY)
        if chance.random() >= self._credly.fault_rate:
            return chance.choice(GOOD)
        fate = chance.choice(BAD[method])
        self._scheduler.counts["Credly fault"] += 1
        self._scheduler.note("fate", fate.name)
        return fate

    def _hear(self, request: requests.PreparedRequest, fate: Fate, answers: list[Answer]) -> requests.Response:
        if fate.error is not None:
            raise fate.error(fate.name)
        answer = Answer(fate.status, fate.name) if fate.status else answers[0]
        if fate.status == 429 and self._scheduler.random.random() < 0.5:
            answer.headers["Retry-After"] = str(self._scheduler.random.randint(0, 20))
        body = (answer.body if isinstance(answer.body, str) else json.dumps(answer.body)).encode()
        raw = HTTPResponse(
            body=BytesIO(body[: len(body) // 2] if fate.cut else body),
            headers=answer.headers,
            status=answer.status,
            preload_content=False,
        )
        return self._builder.build_response(request, raw)


def _place(request: requests.PreparedRequest) -> str:
    """The path below the organization, without ids, which differ from run to run."""
    parts = urlsplit(str(request.url)).path.split("/")[4:]
    return "/".join("..." if len(part) == UUID_LENGTH else part for part in parts) or "organization"
