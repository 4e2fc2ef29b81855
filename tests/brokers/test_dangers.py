"""Redis servers that may lose what they are given are told of; one that is well, silent or away is not."""

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from pipeline import redis_servers
from pipeline.checks import check_redis
from pipeline.embedded.redis import free_port
from tests.brokers.conftest import StartRedis

KEEPS = ("--appendonly", "yes")
SHORT = ("--maxmemory", "50mb")


@pytest.fixture
def found(settings: Any) -> Callable[..., list[tuple[str, bool, bool]]]:
    """What is told of these servers: its id, and whether the bus and the broker are named."""

    def found(bus: str, broker: str) -> list[tuple[str, bool, bool]]:
        settings.EVENT_BUS_REDIS_CONNECTION_URL, settings.CELERY_BROKER_URL = bus, broker
        told = check_redis(None, databases=["default"])
        return [
            (
                str(message.id),
                redis_servers.LOST[redis_servers.BUS] in message.msg,
                redis_servers.LOST[redis_servers.BROKER] in message.msg,
            )
            for message in told
        ]

    return found


def test_a_server_that_keeps_everything_is_not_told_of(start_redis: StartRedis, found):
    server = start_redis(*KEEPS, *SHORT, "--maxmemory-policy", "noeviction")
    assert found(server.url, server.url) == []


def test_one_that_saves_snapshots_is_not_told_of(start_redis: StartRedis, found):
    server = start_redis("--save", "60", "1000")
    assert found(server.url, server.url) == []


def test_one_that_throws_away_is_told_of_with_what_each_use_loses(start_redis: StartRedis, found):
    evicting = start_redis(*KEEPS, *SHORT, "--maxmemory-policy", "allkeys-lru")
    well = start_redis(*KEEPS)
    assert found(evicting.url, evicting.url.replace("/0", "/1")) == [("badges.W010", True, True)]
    assert found(evicting.url, well.url) == [("badges.W010", True, False)]
    assert found(well.url, evicting.url) == [("badges.W010", False, True)]


@pytest.mark.parametrize(
    "options",
    [(*SHORT, "--maxmemory-policy", "volatile-lru"), ("--maxmemory-policy", "allkeys-lru")],
    ids=["volatile", "unlimited"],
)
def test_one_that_throws_away_nothing_of_ours_is_not_told_of(start_redis: StartRedis, found, options: tuple[str, ...]):
    server = start_redis(*KEEPS, *options)
    assert found(server.url, server.url) == []


def test_one_server_is_asked_once_whether_or_not_its_port_is_written(settings: Any):
    settings.EVENT_BUS_REDIS_CONNECTION_URL, settings.CELERY_BROKER_URL = "redis://host/0", "redis://host:6379/1"
    assert list(redis_servers._servers().values()) == [[redis_servers.BUS, redis_servers.BROKER]]


def test_one_that_forgets_all_in_a_restart_is_told_of_for_the_bus_alone(start_redis: StartRedis, found):
    forgetful, well = start_redis(), start_redis(*KEEPS)
    assert found(forgetful.url, well.url) == [("badges.W011", True, False)]
    assert found(well.url, forgetful.url) == []


def test_what_is_told_of_restarts_is_true(start_redis: StartRedis):
    kept = {}
    for options in (KEEPS, ()):
        server = start_redis(*options)
        with Redis.from_url(server.url) as bus:
            bus.xadd("topic", {"id": "1"})
            server.stop()
            server.start()
            kept[options] = bus.xlen("topic")
    assert kept == {KEEPS: 1, (): 0}


@pytest.mark.parametrize(("policy", "kept"), [("noeviction", True), ("volatile-lru", True), ("allkeys-lru", False)])
def test_what_is_told_of_a_full_memory_is_true(start_redis: StartRedis, policy: str, kept: bool):
    server = start_redis("--maxmemory", "5mb", "--maxmemory-policy", policy, "--maxmemory-samples", "64")
    with Redis.from_url(server.url) as bus:
        bus.xadd("topic", {"id": "1"})
        with suppress(ResponseError):  # out of memory
            for number in range(5000):
                bus.set(f"{number}", "x" * 50_000)
                if not bus.exists("topic"):
                    break
        assert bool(bus.exists("topic")) is kept


def test_one_that_tells_nothing_is_passed_over_in_silence(
    start_redis: StartRedis, found, caplog: pytest.LogCaptureFixture
):
    server = start_redis()
    with Redis.from_url(server.url) as redis:
        redis.execute_command("ACL", "SETUSER", "closed", "on", ">word", "~*", "&*", "+@all", "-config")
        redis.execute_command("ACL", "SETUSER", "mute", "on", ">word", "~*", "&*", "+@all", "-config", "-info")
    for user in ("closed", "mute"):
        url = server.url.replace("redis://", f"redis://{user}:word@")
        assert found(url, url) == []
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


def test_one_that_is_away_is_passed_over_in_silence(found, caplog: pytest.LogCaptureFixture):
    away = f"redis://127.0.0.1:{free_port()}/0"
    assert found(away, "amqp://localhost") == []
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


def test_a_cluster_is_refused(start_redis: StartRedis, settings: Any):
    cluster = start_redis("--cluster-enabled", "yes", *KEEPS)
    settings.EVENT_BUS_REDIS_CONNECTION_URL = settings.CELERY_BROKER_URL = cluster.url
    [refusal] = check_redis(None, databases=["default"])
    assert (refusal.id, refusal.is_serious()) == ("badges.E010", True)


def test_a_process_that_starts_logs_it(start_redis: StartRedis, settings: Any, caplog: pytest.LogCaptureFixture):
    settings.EVENT_BUS_REDIS_CONNECTION_URL = settings.CELERY_BROKER_URL = start_redis().url
    redis_servers.warn()
    assert "a restart empties it" in caplog.text
