"""Events and webhooks of the emulated Credly, with a real receiver."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, Queue

import pytest

from tests.credly.emulated_credly import eventually


class Receiver:
    """A webhook endpoint: gives each delivery the next of its statuses, then 200.  For `None` it hangs up."""

    def __init__(self):
        self.deliveries = Queue()
        self.statuses = Queue()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                try:
                    status = receiver.statuses.get_nowait()
                except Empty:
                    status = 200
                # Noted before it is answered: the answer lets the next delivery start.
                receiver.deliveries.put((body, dict(self.headers)))
                if status is None:
                    return
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook/secret"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def next(self):
        return self.deliveries.get(timeout=20)[0]


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture
def listening(emulator, receiver):
    """An organization that wants to hear of badges."""
    wanted = ["badge.created", "badge.state.changed", "badge.deleted", "badge.privacy.changed"]
    return emulator.academy(webhook_url=receiver.url, allowed_webhooks=wanted)


def life(emulator, academy):
    """Everything that can happen to a badge; its events in order."""
    badge = academy.issued()["id"]
    emulator.control("POST", f"badges/{badge}/accept")
    emulator.control("POST", f"badges/{badge}/privacy", {"public": False})
    academy.call("PUT", f"/badges/{badge}/revoke", json={"reason": "x"})
    academy.call("DELETE", f"/badges/{badge}")
    return emulator.control("GET", "events", arguments={"organization_id": academy.organization})["events"][1:]


def test_each_thing_that_happens_is_an_event(emulator, academy):
    assert [(event["event_type"], event["badge"]["state"]) for event in life(emulator, academy)] == [
        ("badge.created", "pending"),
        ("badge.state.changed", "accepted"),
        ("badge.privacy.changed", "accepted"),
        ("badge.state.changed", "revoked"),
        ("badge.deleted", "revoked"),
    ]


def test_templates_have_their_events(emulator, academy):
    emulator.control("POST", f"templates/{academy.template}/state", {"state": "archived"})
    emulator.control("DELETE", f"templates/{academy.template}")
    events = academy.call("GET", "/events").json()["data"]
    assert [(event["event_type"], event["badge_template"]["state"]) for event in events] == [
        ("badge_template.created", "active"),
        ("badge_template.changed", "archived"),
        ("badge_template.deleted", "archived"),
    ]
    assert events[0]["badge_template"]["owner"]["id"] == academy.organization


def test_one_event_is_fetched_by_its_organization_alone(emulator, academy):
    event = life(emulator, academy)[0]
    assert academy.call("GET", f"/events/{event['id']}/").json() == {"data": event, "metadata": {}}
    assert emulator.academy(name="Other").call("GET", f"/events/{event['id']}").status_code == 404
    assert academy.call("GET", "/events/00000000-0000-4000-8000-000000000000").status_code == 404


def test_switches_shape_events(emulator, academy):
    badge = academy.issued()
    emulator.control("POST", f"badges/{badge['id']}/accept")
    emulator.switch(event_object="live", events_order="newest_first")
    states = [event["badge"]["state"] for event in academy.call("GET", "/events").json()["data"][:2]]
    assert states == ["accepted", "accepted"]
    academy.call("DELETE", f"/badges/{badge['id']}")
    emulator.switch(deleted_event_object="id")
    newest = academy.call("GET", "/events").json()["data"][0]
    assert newest["badge"] == {"id": badge["id"]}


def test_a_delivery_is_a_pointer_of_four_fields_without_signature(receiver, emulator, listening):
    listening.issued()
    body, headers = receiver.deliveries.get(timeout=20)
    assert set(body) == {"id", "organization_id", "event_type", "occurred_at"}
    assert (body["organization_id"], body["event_type"]) == (listening.organization, "badge.created")
    assert headers["Content-Type"] == "application/json"
    assert not [name for name in headers if "signature" in name.lower() or name.lower() == "authorization"]
    assert listening.call("GET", f"/events/{body['id']}").json()["data"]["occurred_at"] == body["occurred_at"]


def test_all_types_are_delivered_where_none_are_chosen(receiver, emulator):
    emulator.academy(webhook_url=receiver.url)
    assert receiver.next()["event_type"] == "badge_template.created"


@pytest.mark.parametrize("status", [204, 302, 404, 500])
def test_anything_but_200_is_tried_again_until_it_is(receiver, emulator, listening, status):
    emulator.switch(webhook_time_factor=0.0001)
    receiver.statuses.put(status)
    receiver.statuses.put(status)
    listening.issued()
    ids = {receiver.next()["id"] for _ in range(3)}
    assert len(ids) == 1
    log = wait_for_deliveries(emulator, 3)
    assert [(entry["attempt"], entry["status"], entry["delivered"]) for entry in log] == [
        (1, status, False),
        (2, status, False),
        (3, 200, True),
    ]


def test_an_endpoint_that_hangs_up_is_tried_again(receiver, emulator, listening):
    emulator.switch(webhook_time_factor=0.0001)
    receiver.statuses.put(None)
    listening.issued()
    ids = {receiver.next()["id"] for _ in range(2)}
    assert len(ids) == 1
    log = wait_for_deliveries(emulator, 2)
    assert [(entry["attempt"], entry["status"], entry["delivered"]) for entry in log] == [
        (1, None, False),
        (2, 200, True),
    ]


def test_one_that_does_not_answer_in_time_is_tried_again(emulator):
    emulator.switch(webhook_time_factor=0.0001, webhook_timeout=0.01)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        emulator.academy(webhook_url=f"http://127.0.0.1:{silent.getsockname()[1]}/")
        log = wait_for_deliveries(emulator, 2)
    assert [(entry["attempt"], entry["status"]) for entry in log[:2]] == [(1, None), (2, None)]


def test_a_switch_lets_204_count(receiver, emulator, listening):
    emulator.switch(webhook_success="2xx")
    receiver.statuses.put(204)
    listening.issued()
    receiver.next()
    assert wait_for_deliveries(emulator, 1)[0]["delivered"] is True


def test_an_endpoint_that_refuses_is_logged_as_undelivered(emulator, receiver):
    receiver.server.shutdown()
    receiver.server.server_close()
    emulator.academy(webhook_url=receiver.url)
    [entry] = wait_for_deliveries(emulator, 1)
    assert (entry["status"], entry["delivered"]) == (None, False)
    assert entry["error"]


def test_held_deliveries_are_released_in_the_order_asked_for(receiver, emulator, listening):
    emulator.switch(webhook_hold=True)
    events = [event["id"] for event in life(emulator, listening)]
    assert emulator.control("GET", "webhooks")["held"] == 5
    assert emulator.control("POST", "webhooks/release", {"order": "reversed"}) == {"released": 5}
    assert [receiver.next()["id"] for _ in events] == events[::-1]


def test_shuffling_is_repeatable_by_its_seed(receiver, emulator, listening):
    emulator.switch(webhook_hold=True)
    events = [event["id"] for event in life(emulator, listening)]
    given = {"events": events, "order": "shuffled", "seed": 7}
    orders = []
    for _ in range(2):
        emulator.control("POST", "webhooks/redeliver", given)
        orders.append([receiver.next()["id"] for _ in events])
    assert orders[0] == orders[1] != events
    assert set(orders[0]) == set(events)


def test_an_event_can_be_delivered_again(receiver, emulator, listening):
    listening.issued()
    first = receiver.next()
    assert emulator.control("POST", "webhooks/redeliver", {"events": [first["id"]]}) == {"redelivered": 1}
    assert receiver.next() == first


def test_reset_stops_the_deliveries_still_to_come(receiver, emulator):
    receiver.statuses.put(500)
    emulator.academy(webhook_url=receiver.url)
    wait_for_deliveries(emulator, 1)
    assert emulator.control("GET", "webhooks")["waiting"] == 1
    emulator.control("POST", "reset")
    eventually(lambda: emulator.control("GET", "webhooks")["waiting"] == 0)
    assert emulator.control("GET", "webhooks") == {"deliveries": [], "held": 0, "waiting": 0}


def wait_for_deliveries(emulator, number):
    """The delivery log, once it has this many entries."""

    def log():
        entries = emulator.control("GET", "webhooks")["deliveries"]
        return entries if len(entries) >= number else None

    return eventually(log)
