"""Webhooks from end to end: the emulator delivers, our web process answers, workers verify and obey, the LMS is told."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from redis import Redis

from pipeline.embedded.system import System
from tests.databases import server_of_run
from tests.system.academy import Academy, learner, requirement
from tests.system.conditions import eventually

SECRET = "only-credly-knows-this"
PROCESSES = ("web", "consumer", "worker", "credly", "beat")
REVOKED = "org.openedx.learning.badge.revoked.v1"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("webhooks")
    variables = {"CREDLY_WEBHOOK_SECRET": SECRET}
    database = server_of_run(folder / "database")
    with System(folder, processes=PROCESSES, environment=variables, database=database) as running:
        running.credly("PATCH", "switches", {"webhook_time_factor": 0.01})
        yield running


def url(system: System, secret: str = SECRET) -> str:
    return f"http://127.0.0.1:{system.port}/badges/credly/webhook/{secret}/"


class Issued:
    """A learner's badge, issued through the whole pipeline, of an organization whose webhooks come to us."""

    def __init__(self, academy: Academy) -> None:
        self.academy, self.system = academy, academy.system
        course = f"course-v1:Hooks+{uuid.uuid4().hex[:8]}+2026"
        self.learner = learner()
        self.template = academy.template(
            [requirement("pass", ("is_passing", "eq", "true"), ("course.course_key", "eq", course))]
        )
        self.system.credly("PATCH", f"organizations/{academy.organization}", {"webhook_url": url(self.system)})
        academy.play_and_wait(academy.passes(self.learner, course))
        [at_credly] = academy.badges_at_credly(self.template)
        self.id = at_credly["id"]

    def act(self, what: str) -> None:
        """Something happens to the badge at Credly."""
        api = f"{self.system.credly_url}v1/organizations/{self.academy.organization}/badges/{self.id}"
        call: dict[str, Any] = {"auth": (self.academy.key, ""), "timeout": 20}
        if what == "revoke":
            requests.put(f"{api}/revoke", json={"reason": "by hand"}, **call).raise_for_status()
        elif what == "delete":
            requests.delete(api, **call).raise_for_status()
        else:
            self.system.credly("POST", f"badges/{self.id}/{what}")

    def here(self) -> tuple[str, str]:
        """Standing and Credly state, as `badge_status` tells them."""
        status = badge_status(self.system, self.learner.username)
        [badge] = status["badges"]
        return badge["standing"], badge["credly"]["state"]

    def told(self) -> list[str]:
        """The types of the signals that the LMS received about the badge."""
        return [signal["type"] for signal in self.system.received_signals() if signal["template"] == self.template]

    def events(self, event_type: str) -> list[dict[str, Any]]:
        path = f"events?organization_id={self.academy.organization}&event_type={event_type}"
        return list(self.system.credly("GET", path)["events"])

    def deliveries(self) -> list[dict[str, Any]]:
        path = f"webhooks?organization_id={self.academy.organization}"
        return list(self.system.credly("GET", path)["deliveries"])


def badge_status(system: System, username: str) -> dict[str, Any]:
    status: dict[str, Any] = json.loads(system.manage("badge_status", "--username", username, "--json"))
    return status


@pytest.fixture
def issued(academy: Academy) -> Issued:
    return Issued(academy)


@pytest.mark.parametrize(("what", "state"), [("accept", "accepted"), ("reject", "rejected")])
def test_what_the_learner_does_at_credly_shows_here(issued: Issued, what: str, state: str):
    issued.act(what)
    eventually(lambda: issued.here() == ("awarded", state))
    assert {delivery["status"] for delivery in issued.deliveries()} == {200}


@pytest.mark.parametrize("what", ["revoke", "delete"])
def test_what_is_revoked_or_deleted_at_credly_is_told_on_the_bus(issued: Issued, what: str):
    issued.act(what)
    eventually(lambda: REVOKED in issued.told())
    assert issued.here() == ("revoked", "revoked")


def test_webhooks_in_reverse_and_repeated_end_as_credly_is(issued: Issued):
    issued.system.credly("PATCH", "switches", {"webhook_hold": True})
    issued.act("accept")
    issued.act("revoke")
    issued.system.credly("PATCH", "switches", {"webhook_hold": False})
    issued.system.credly("POST", "webhooks/release", {"order": "reversed"})
    ids = [event["id"] for kind in ("badge.created", "badge.state.changed") for event in issued.events(kind)]
    issued.system.credly("POST", "webhooks/redeliver", {"events": ids, "order": "shuffled", "seed": 7})
    eventually(lambda: issued.here() == ("revoked", "revoked"))
    eventually(lambda: len(issued.deliveries()) >= 2 + len(ids))
    eventually(lambda: REVOKED in issued.told())
    assert issued.told().count(REVOKED) == 1


def test_a_webhook_that_came_while_nobody_could_handle_it_is_handled_later_by_the_database_alone(issued: Issued):
    """The workers are away and the broker forgets everything: the row is due, and housekeeping nudges."""
    system = issued.system
    for name in ("credly", "worker", "beat"):
        system.processes[name].kill()
    issued.act("accept")
    event = eventually(lambda: issued.events("badge.state.changed"))[0]["id"]
    eventually(lambda: [one for one in issued.deliveries() if one["event_id"] == event and one["delivered"]])
    with Redis.from_url(system.redis.url) as broker:
        broker.flushall()
    system.redis.stop()
    system.redis.start()
    for name in ("credly", "worker", "beat"):
        system.processes[name].start()
    eventually(lambda: issued.here() == ("awarded", "accepted"))


def test_a_forged_post_and_a_forged_type_on_a_real_event_change_nothing(issued: Issued):
    issued.system.credly("PATCH", "switches", {"webhook_hold": True})
    issued.system.credly("POST", f"badges/{issued.id}/privacy", {"public": False})
    real = issued.events("badge.privacy.changed")[0]["id"]
    forged = [
        {"id": event, "organization_id": issued.academy.organization, "event_type": "badge.deleted"}
        for event in (real, str(uuid.uuid4()))
    ]
    assert requests.post(url(issued.system, "guessed"), json=forged[0], timeout=20).status_code == 404
    assert [requests.post(url(issued.system), json=one, timeout=20).status_code for one in forged] == [200, 200]

    def asked(event: str) -> list[dict[str, Any]]:
        return list(issued.system.credly("GET", f"requests?path=/events/{event}")["requests"])

    eventually(lambda: all(asked(one["id"]) for one in forged))
    issued.system.credly("PATCH", "switches", {"webhook_hold": False})
    issued.act("accept")
    eventually(lambda: issued.here() == ("awarded", "accepted"))
    assert REVOKED not in issued.told()


def test_credly_comes_again_until_a_web_process_that_was_away_is_back(issued: Issued):
    system = issued.system
    system.processes["web"].stop()
    issued.act("accept")
    eventually(lambda: [one for one in issued.deliveries() if not one["delivered"]])
    system.processes["web"].start()
    eventually(lambda: issued.here() == ("awarded", "accepted"))
