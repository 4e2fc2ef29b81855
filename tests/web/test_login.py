"""The login: how often a password may be guessed, by whom, and who can't be kept out by that."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from redis import Redis

from pipeline import counting
from pipeline.embedded.redis import RedisServer
from pipeline.web import login

URL = "/admin/login/"
PASSWORD = "a long pass phrase"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def redis(redis_server: RedisServer, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """Where logins are counted, and nothing counted yet."""
    settings.CELERY_BROKER_URL = redis_server.url
    monkeypatch.setattr(login, "_attempts", counting.Counter("Logins"))
    monkeypatch.setattr(counting, "ANSWER_SECONDS", 20.0)  # a busy machine is no Redis that is away
    counting._shared.cache_clear()
    with Redis.from_url(redis_server.url) as client:
        client.flushdb()
        yield client
        client.flushdb()
    counting._shared.cache_clear()


@pytest.fixture(autouse=True)
def _staff(db: None, settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # a slow one would only cost time
    User.objects.create_superuser("ada", "ada@staff.example", PASSWORD)


@pytest.fixture
def another_process(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From here on it is another web process that answers: nothing is left of the memory of the one before."""
    return lambda: monkeypatch.setattr(login, "_attempts", counting.Counter("Logins"))


def attempt(password: str, name: str = "ada", address: str = "192.0.2.1", **headers: str) -> str:
    """What became of one attempt to log in."""
    form = {"username": name, "password": password}
    answer = Client().post(URL, form, REMOTE_ADDR=address, headers={k.replace("_", "-"): v for k, v in headers.items()})
    if answer.status_code == 302:
        return "in"
    return "too many" if "Too many attempts" in answer.text else "wrong"


def guess(times: int = login.ATTEMPTS_PER_ACCOUNT, **where: str) -> list[str]:
    return [attempt(f"guess {number}", **where) for number in range(times)]


def test_after_ten_wrong_passwords_even_the_right_one_has_to_wait(another_process: Callable[[], None]):
    assert set(guess()) == {"wrong"}
    assert attempt(PASSWORD) == "too many"
    another_process()
    assert attempt(PASSWORD) == "too many"


def test_the_message_says_for_how_long(client: Client):
    guess()
    answer = client.post(URL, {"username": "ada", "password": "x"}, REMOTE_ADDR="192.0.2.1")
    assert "Try again in 15 minutes." in answer.text


def test_who_guesses_locks_nobody_out_who_comes_from_elsewhere_or_has_another_account():
    User.objects.create_superuser("grace", "grace@staff.example", PASSWORD)
    guess()
    assert attempt(PASSWORD, address="192.0.2.2") == "in"
    assert attempt(PASSWORD, name="grace") == "in"


def test_a_login_that_succeeds_begins_anew():
    guess(login.ATTEMPTS_PER_ACCOUNT - 1)
    assert attempt(PASSWORD) == "in"
    assert set(guess(login.ATTEMPTS_PER_ACCOUNT)) == {"wrong"}


def test_one_address_may_not_try_account_after_account():
    outcomes = [attempt("guess", name=f"name{number}") for number in range(login.ATTEMPTS_PER_ADDRESS + 1)]
    assert outcomes[:-1] == ["wrong"] * login.ATTEMPTS_PER_ADDRESS
    assert outcomes[-1] == "too many"
    assert attempt(PASSWORD) == "too many"
    assert attempt(PASSWORD, address="192.0.2.2") == "in"


def test_who_has_a_network_of_ipv6_addresses_has_them_counted_as_one():
    for number in range(login.ATTEMPTS_PER_ACCOUNT):
        attempt("guess", address=f"2001:db8:1:1::{number:x}")
    assert attempt(PASSWORD, address="2001:db8:1:1:ffff::1") == "too many"
    assert attempt(PASSWORD, address="2001:db8:1:2::1") == "in"


def test_addresses_of_ipv4_that_are_written_as_ipv6_are_told_apart():
    guess(address="::ffff:192.0.2.1")
    assert attempt(PASSWORD, address="192.0.2.1") == "too many"
    assert attempt(PASSWORD, address="::ffff:192.0.2.2") == "in"


def test_a_name_counts_as_the_same_in_whatever_case_it_is_written():
    names = ["ada", "Ada", "aDa", "ADA"]
    for number in range(login.ATTEMPTS_PER_ACCOUNT):
        attempt("guess", name=names[number % len(names)])
    assert attempt(PASSWORD) == "too many"


@pytest.mark.parametrize(
    ("first", "second", "another"),
    [
        ("203.0.113.7:4711", "203.0.113.7:4712", "203.0.113.8:4711"),
        ("[2001:db8:1:1::1]:4711", "2001:db8:1:1::2", "[2001:db8:1:2::1]"),
    ],
)
def test_a_port_that_the_proxy_writes_behind_the_address_does_not_count(
    settings: Any, first: str, second: str, another: str
):
    settings.PROXIES = 1
    guess(x_forwarded_for=first)
    assert attempt(PASSWORD, x_forwarded_for=second) == "too many"
    assert attempt(PASSWORD, x_forwarded_for=another) == "in"


def test_behind_a_proxy_the_address_is_what_the_proxy_wrote_and_nothing_that_the_client_did(settings: Any):
    settings.PROXIES = 1
    for number in range(login.ATTEMPTS_PER_ACCOUNT):
        attempt("guess", x_forwarded_for=f"198.51.100.{number}, 203.0.113.7")
    assert attempt(PASSWORD, x_forwarded_for="203.0.113.7") == "too many"
    assert attempt(PASSWORD, x_forwarded_for="203.0.113.8") == "in"


@pytest.mark.parametrize("written", ["", "unknown", "203.0.113.7"])
def test_without_a_proxy_or_with_nonsense_from_it_the_address_of_the_connection_counts(settings: Any, written: str):
    settings.PROXIES = 0 if written == "203.0.113.7" else 1
    guess(x_forwarded_for=written)
    assert attempt(PASSWORD, x_forwarded_for="") == "too many"


def test_while_redis_is_away_each_process_counts_for_itself(
    settings: Any, another_process: Callable[[], None], caplog: Any
):
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    guess()
    assert attempt(PASSWORD) == "too many"
    assert sum("counted per process" in record.message for record in caplog.records) == 1
    another_process()
    assert attempt(PASSWORD) == "in"


def test_neither_redis_nor_the_log_learns_who_tries(redis: Redis, caplog: Any):
    guess(name="grace")
    attempt(PASSWORD, name="grace")
    keys = [key.decode() for key in redis.scan_iter()]
    assert any("login-account" in key for key in keys)
    assert any("login was refused" in record.message for record in caplog.records)
    assert not [text for text in (*keys, caplog.text) if "grace" in text or "192.0.2" in text]
