"""Flower: behind a login, for looking only, and neither secrets nor personal data to be seen."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from django.conf import settings
from flower.urls import handlers
from pytest_celery import CeleryTestSetup

from pipeline import nudges
from pipeline.embedded.redis import free_port
from tests.system.conditions import eventually
from tests.tasks.conftest import Start
from tests.tasks.nodes import BrokerNode
from tests.tasks.school import School, nothing_waits
from tests.tls.certificates import Certificates, door, make_certificates

LOGIN = ("admin", "flower-password")
PASSWORD = "redis-password"


def test_flower_does_not_start_without_a_login(start: Start):
    flower = start("flower", FLOWER_PORT=str(free_port()))
    assert flower.wait(30) == 1
    assert "FLOWER_BASIC_AUTH" in flower.output()
    assert "Traceback" not in flower.output()


def test_flower_does_not_start_with_a_provider_of_logins_that_may_admit_anybody(start: Start):
    provider = "flower.views.auth.GithubLoginHandler"
    flower = start("flower", FLOWER_PORT=str(free_port()), FLOWER_AUTH_PROVIDER=provider)
    assert flower.wait(30) == 1
    assert "FLOWER_AUTH" in flower.output().splitlines()[-1]
    assert "Traceback" not in flower.output()


@pytest.fixture
def redis_password() -> str:
    return PASSWORD


@pytest.fixture
def flower(celery_setup: CeleryTestSetup, start: Start) -> str:
    """The URL of a Flower that watches workers which log in to Redis."""
    port = free_port()
    process = start("flower", FLOWER_PORT=str(port), FLOWER_BASIC_AUTH=":".join(LOGIN))
    process.wait_for_output("Visit me at")
    url = f"http://127.0.0.1:{port}"
    eventually(lambda: len(fetched(f"{url}/api/workers?refresh=1").json()) == 2)
    return url


def fetched(url: str) -> requests.Response:
    return requests.get(url, auth=LOGIN, timeout=20)


def test_flower_shows_nothing_without_a_login(flower: str):
    for path in ("/", "/tasks", "/api/workers", "/api/tasks", "/metrics"):
        assert requests.get(flower + path, timeout=20).status_code == 401
        assert requests.get(flower + path, auth=("admin", "wrong"), timeout=20).status_code == 401
        assert fetched(flower + path).status_code == 200


def test_nothing_can_be_done_by_flower_even_if_its_own_variables_say_so(celery_setup: CeleryTestSetup, start: Start):
    port = free_port()
    start("flower", FLOWER_PORT=str(port), FLOWER_BASIC_AUTH=":".join(LOGIN), FLOWER_READ_ONLY="false").wait_for_output(
        "Visit me at"
    )
    commands = [rule for rule, handler, *_ in map(tuple_of, handlers) if "post" in vars(handler) and "/api/" in rule]
    assert len(commands) >= 14
    for rule in commands:
        url = f"http://127.0.0.1:{port}{rule.replace('(.+)', 'issue')}"
        refused = requests.post(url, auth=LOGIN, data=json.dumps({"args": []}), timeout=20)
        assert (refused.status_code, refused.text) == (403, "Read only mode is enabled"), rule


def tuple_of(handler: Any) -> tuple[Any, ...]:
    """The rule and the class of one of Flower's addresses."""
    return handler if isinstance(handler, tuple) else (handler.regex.pattern, handler.handler_class)


def test_flower_shows_neither_secrets_nor_personal_data(flower: str, celery_setup: CeleryTestSetup, school: School):
    learner = school.learner()
    event = school.passes(learner)
    nudges.evaluate([event])
    eventually(nothing_waits)
    tasks = eventually(lambda: all_succeeded(flower))
    workers = fetched(f"{flower}/api/workers").json()
    pages = [
        *(fetched(f"{flower}/task/{task}").text for task in tasks),
        *(fetched(f"{flower}/worker/{worker}").text for worker in workers),
        *(fetched(flower + path).text for path in ("/", "/tasks", "/broker", "/api/workers", "/api/tasks")),
    ]
    assert all(worker["conf"]["broker_url"] for worker in workers.values()), "no configuration is shown"
    assert any(str(event) in page for page in pages), "no task is shown"
    hidden = [learner.username, learner.email, *learner.name.split(), PASSWORD, school.academy.key, settings.SECRET_KEY]
    assert [word for word in hidden for page in pages if word in page] == []


def all_succeeded(flower: str) -> list[str]:
    """The ids of the tasks that Flower saw, once they are one of each stage and done."""
    tasks = fetched(f"{flower}/api/tasks").json()
    done = {task["name"] for task in tasks.values() if task["state"] == "SUCCESS"}
    return list(tasks) if done == {"evaluate", "persist", "issue", "emit"} else []


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def tls_broker(celery_broker: BrokerNode, certificates: Certificates) -> Iterator[str]:
    """The URL of the broker over TLS, without a word about whom to trust; one message waits there."""
    with celery_broker.container.client as redis, door(certificates, celery_broker.server.port) as port:
        redis.lpush("housekeeping", "a message")
        yield f"rediss://:{PASSWORD}@127.0.0.1:{port}/0"


def queues_shown(start: Start, broker: str, **variables: str) -> requests.Response:
    port = free_port()
    login = {"FLOWER_PORT": str(port), "FLOWER_BASIC_AUTH": ":".join(LOGIN)}
    start("flower", CELERY_BROKER_URL=broker, **login, **variables).wait_for_output("Visit me at")
    return fetched(f"http://127.0.0.1:{port}/api/queues/length")


def test_queues_are_shown_of_a_broker_whose_certificate_a_named_authority_signed(
    tls_broker: str, certificates: Certificates, start: Start
):
    shown = queues_shown(start, f"{tls_broker}?ssl_ca_certs={certificates.authority}")
    assert shown.json() == {"active_queues": [{"name": "housekeeping", "messages": 1}]}


def test_queues_are_shown_of_a_broker_that_need_not_prove_who_it_is(tls_broker: str, start: Start):
    shown = queues_shown(start, tls_broker, REDIS_TLS_VERIFY="false")
    assert shown.json() == {"active_queues": [{"name": "housekeeping", "messages": 1}]}


def test_flower_does_not_speak_to_a_broker_that_another_authority_signed(tls_broker: str, start: Start, tmp_path: Path):
    other = make_certificates(tmp_path).authority
    assert queues_shown(start, f"{tls_broker}?ssl_ca_certs={other}").status_code == 500
