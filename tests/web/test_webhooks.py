"""Webhooks over HTTP: what is taken, what is answered, and that nothing is believed, quoted or logged."""

import json
import logging
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.test import Client
from limits import RateLimitItemPerMinute

from pipeline.counting import Counter
from pipeline.embedded.redis import RedisServer
from pipeline.ledgers import webhooks
from pipeline.models import Organization, Webhook
from pipeline.web import webhooks as receiving
from pipeline.web.webhooks import LARGEST_BODY
from tests.ledgers.builders import organization

URL = "/badges/credly/webhook/"
SECRET = "aB3-secret_of-this-site"

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> Organization:
    return organization()


def pointer(owner: Organization, **changes: Any) -> dict[str, Any]:
    """The four fields that Credly posts."""
    fields = {
        "id": str(uuid4()),
        "organization_id": str(owner.uuid),
        "event_type": "badge.state.changed",
        "occurred_at": "2026-02-04T08:15:02.000Z",
    }
    return fields | changes


def post(content: Any, path: str = URL, **options: Any) -> HttpResponse:
    body = content if isinstance(content, str | bytes) else json.dumps(content)
    return Client(enforce_csrf_checks=True).post(path, body, content_type="application/json", **options)


def test_a_webhook_is_stored_and_answered_200(owner):
    given = pointer(owner)
    assert post(given).status_code == 200
    [row] = Webhook.objects.all()
    assert (str(row.event), row.organization, row.event_type) == (given["id"], owner, "badge.state.changed")
    assert (row.state, row.due_at is not None) == ("waiting", True)


def test_a_repeat_is_answered_200_and_stored_once(owner):
    given = pointer(owner)
    assert [post(given).status_code for _ in range(3)] == [200, 200, 200]
    assert Webhook.objects.count() == 1


def test_a_type_that_nobody_knows_is_stored_and_unknown_fields_do_no_harm(owner):
    assert post(pointer(owner, event_type="employee.promoted", more={"a": [1]})).status_code == 200
    assert Webhook.objects.get().event_type == "employee.promoted"


def test_a_new_webhook_is_nudged_after_commit_and_a_repeat_is_not(owner, settings, django_capture_on_commit_callbacks):
    settings.BADGES_ENABLED = True
    given = pointer(owner)
    with django_capture_on_commit_callbacks() as nudges:
        post(given)
        post(given)
    assert [nudge.args[:2] for nudge in nudges] == [("webhook", [[Webhook.objects.get().pk]])]


def test_while_badges_are_switched_off_it_is_stored_and_no_broker_is_asked(
    owner, settings, django_capture_on_commit_callbacks
):
    settings.BADGES_ENABLED = False
    with django_capture_on_commit_callbacks() as nudges:
        assert post(pointer(owner)).status_code == 200
    assert (nudges, Webhook.objects.count()) == ([], 1)


def test_a_webhook_of_an_organization_that_we_do_not_have_is_answered_404_and_not_stored(owner):
    stranger = Organization(uuid=uuid4())
    answer = post(pointer(stranger))
    assert (answer.status_code, Webhook.objects.count()) == (404, 0)
    stranger.save()
    assert post(pointer(stranger)).status_code == 200, "Credly comes again, and by then it is here"


LONG = "z" * 2000


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"id": None}, "id"),
        ({"id": LONG}, "id"),
        ({"id": 7}, "id"),
        ({"id": ["a"]}, "id"),
        ({"organization_id": "7d1b0f5e"}, "organization_id"),
        ({"organization_id": {}}, "organization_id"),
        ({"event_type": ""}, "event_type"),
        ({"event_type": None}, "event_type"),
        ({"event_type": LONG}, "event_type"),
        ({"event_type": "badge\x00created"}, "event_type"),
        ({"event_type": "badge\ud800"}, "event_type"),
        ({"event_type": "badge\ncreated"}, "event_type"),
    ],
)
def test_what_is_no_webhook_is_refused_with_the_name_of_the_field_in_one_line(owner, changes, named):
    answer = post(pointer(owner, **changes))
    assert answer.status_code == 400
    text = answer.content.decode()
    assert text.startswith(f"{named}: ")
    assert text.count("\n") == 1
    assert len(text) < 100
    assert not Webhook.objects.exists()


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"7", b"\xff\xfe", b"[" * 60_000, b"id=7&organization_id=8"]
)
def test_a_body_that_is_no_json_object_is_refused(owner, body):
    answer = post(body)
    assert (answer.status_code, answer.content[:5]) == (400, b"body:")


def test_a_body_that_is_too_long_is_refused_and_one_at_the_limit_is_taken(owner):
    given = json.dumps(pointer(owner))
    assert post(given + " " * (LARGEST_BODY - len(given))).status_code == 200
    assert post(json.dumps(pointer(owner)) + " " * LARGEST_BODY).status_code == 413
    assert Webhook.objects.count() == 1


@pytest.mark.parametrize("method", ["get", "put", "delete", "head"])
def test_only_post_is_answered(method):
    assert getattr(Client(), method)(URL).status_code == 405


def test_without_a_secret_both_paths_are_taken(owner):
    assert post(pointer(owner)).status_code == 200
    assert post(pointer(owner), f"{URL}anything/").status_code == 200


def test_with_a_secret_only_the_path_with_exactly_it_is_taken(owner, settings):
    settings.CREDLY_WEBHOOK_SECRET = SECRET
    wrong = ["", "x/", f"{SECRET}x/", f"{SECRET[:-1]}/", f"{SECRET.upper()}/", f"x/{SECRET}/", "ü/"]
    assert [post(pointer(owner), URL + path).status_code for path in wrong] == [404] * len(wrong)
    assert not Webhook.objects.exists()
    assert post(pointer(owner), f"{URL}{SECRET}/").status_code == 200


def test_no_log_line_tells_the_secret(owner, settings, caplog):
    settings.CREDLY_WEBHOOK_SECRET = SECRET
    caplog.set_level(logging.DEBUG)
    for content in ("{", pointer(owner, id="x"), pointer(Organization(uuid=uuid4())), " " * (LARGEST_BODY + 1)):
        assert post(content, f"{URL}{SECRET}/").status_code >= 400
    assert "/badges/credly/webhook/..." in caplog.text
    assert SECRET not in caplog.text


def test_when_too_many_wait_credly_is_asked_to_come_again(owner, monkeypatch):
    monkeypatch.setattr(webhooks, "MOST_WAITING", 1)
    first = pointer(owner)
    assert [post(first).status_code, post(pointer(owner)).status_code, post(first).status_code] == [200, 503, 200]
    assert post(pointer(organization())).status_code == 200


@pytest.fixture
def few(redis_server: RedisServer, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two in a minute, counted in Redis."""
    settings.CELERY_BROKER_URL = redis_server.url
    monkeypatch.setattr(receiving, "_WITHOUT_SECRET", RateLimitItemPerMinute(2, namespace=f"{uuid4()}"))


@pytest.mark.usefixtures("few")
def test_without_a_secret_few_are_taken_of_each_organization_by_all_processes_together(owner, monkeypatch):
    statuses = []
    for _ in range(3):
        monkeypatch.setattr(receiving, "_posted", Counter("Webhooks"))  # another web process
        statuses.append(post(pointer(owner)).status_code)
    assert statuses == [200, 200, 503]
    assert Webhook.objects.count() == 2
    assert post(pointer(organization())).status_code == 200


@pytest.mark.usefixtures("few")
def test_with_a_secret_as_many_are_taken_as_come(owner, settings):
    settings.CREDLY_WEBHOOK_SECRET = SECRET
    assert {post(pointer(owner), f"{URL}{SECRET}/").status_code for _ in range(4)} == {200}


def test_a_database_that_is_away_is_answered_503_in_one_line(owner, caplog):
    def refuse(*_: Any) -> None:
        raise OperationalError("could not connect to server db.example as admin")

    with connection.execute_wrapper(refuse):
        answer = post(pointer(owner))
    assert (answer.status_code, answer.content) == (503, b"The database does not answer.\n")
    assert "db.example" not in caplog.text
    assert "Traceback" not in caplog.text


def test_the_id_is_stored_the_same_however_it_is_written(owner):
    event = uuid4()
    for text in (str(event), str(event).upper(), event.hex):
        assert post(pointer(owner, id=text)).status_code == 200
    assert Webhook.objects.get().event == UUID(str(event))
