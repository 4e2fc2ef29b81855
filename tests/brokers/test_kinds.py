"""Ways to reach Redis: a user with a password, a socket, Sentinels; and broker and bus as two servers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from kombu import pools
from limits import RateLimitItemPerMinute
from redis import Redis
from redis.exceptions import RedisError

from pipeline import counting
from pipeline.bus.connection import connect
from tests.brokers.sentinel import sentinel
from tests.system.conditions import eventually
from tests.tasks.conftest import use_broker
from tests.tasks.nodes import RedisProgram


@pytest.fixture
def app() -> Iterator[Celery]:
    app = Celery("pipeline", set_as_current=False)
    app.config_from_object("celeryconfig")
    yield app
    pools.reset()


def send_and_receive(app: Celery, url: str) -> None:
    """A nudge there and back, and a word to all workers: what a broker is for."""
    use_broker(app, url)
    app.send_task("evaluate", args=[[]])
    app.control.broadcast("ping", reply=False)
    with app.connection_for_read() as connection:
        message = connection.SimpleQueue("evaluate").get(timeout=10)
        assert message.headers["task"] == "evaluate"
        message.ack()


def count(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting.settings, "CELERY_BROKER_URL", url)
    once = RateLimitItemPerMinute(1)
    assert counting.Counter("Visits").hit(once, url)
    assert not counting.Counter("Visits").hit(once, url), "it was not counted in Redis"


def read_and_write(url: str) -> None:
    """What the bus is for."""
    with connect(url) as bus:
        bus.xgroup_create("topic", "group", id="0", mkstream=True)
        bus.xadd("topic", {"id": "1"})
        [[_, [(entry, _)]]] = bus.xreadgroup("group", "consumer", {"topic": ">"}, count=10)
        assert bus.xack("topic", "group", entry) == 1


def test_a_user_with_a_password_and_no_dangerous_rights_is_enough(
    start_redis, app: Celery, monkeypatch: pytest.MonkeyPatch
):
    server = start_redis()
    with Redis.from_url(server.url) as redis:
        redis.execute_command("ACL", "SETUSER", "badges", "on", ">word:@", "~*", "&*", "+@all", "-@dangerous", "+info")
        redis.execute_command("ACL", "SETUSER", "default", "off")
    url = server.url.replace("redis://", "redis://badges:word%3A%40@")
    send_and_receive(app, url)
    read_and_write(url)
    count(url, monkeypatch)
    with pytest.raises(RedisError):
        read_and_write(server.url)


def test_a_socket_serves_both(start_redis, app: Celery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    socket = tmp_path / "redis.sock"
    start_redis("--unixsocket", str(socket))
    send_and_receive(app, f"unix://{socket}?db=1")
    read_and_write(f"unix://{socket}?db=0")
    count(f"unix://{socket}?db=1", monkeypatch)


def test_broker_and_bus_on_two_servers_know_nothing_of_each_other(start_redis, app: Celery):
    broker, bus = start_redis(), start_redis()
    read_and_write(bus.url)
    broker.stop()
    with connect(bus.url) as client:
        assert client.xlen("topic") == 1
    broker.start()
    bus.stop()
    send_and_receive(app, broker.url)


def test_sentinels_lead_the_broker_to_the_new_master_after_a_failover(
    start_redis, redis_executable: str, app: Celery, tmp_path: Path
):
    master = start_redis()
    replica = start_redis("--replicaof", "127.0.0.1", str(master.port))
    with (
        sentinel(tmp_path / "sentinel", master, program=redis_executable) as watch,
        Redis.from_url(replica.url, decode_responses=True) as second,
    ):
        eventually(lambda: watch.replicas() == 1)
        send_and_receive(app, watch.url)
        master.kill()
        eventually(lambda: second.role()[0] == "master")
        eventually(lambda: sent(app))
        assert second.llen("evaluate") == 1
        use_broker(app, master.url)
        assert not sent(app), "without Sentinels it would have been found as well"


def test_sentinels_and_their_master_may_each_want_a_password(redis_executable: str, app: Celery, tmp_path: Path):
    passwords = {"password": "of-sentinel", "of_master": "of-master"}
    with (
        RedisProgram(tmp_path / "redis", "of-master", redis_executable) as master,
        sentinel(tmp_path / "sentinel", master, program=redis_executable, **passwords) as watch,
    ):
        login = watch.url.replace("sentinel://", "sentinel://:of-master@")
        send_and_receive(app, f"{login}&sentinel_password=of-sentinel")
        for refused in (login, f"{login}&sentinel_password=wrong", f"{watch.url}&sentinel_password=of-sentinel"):
            use_broker(app, refused)
            assert not sent(app), refused


def sent(app: Celery) -> bool:
    try:
        with app.connection_for_write() as connection:
            app.send_task("evaluate", args=[[]], connection=connection)
    except Exception:  # noqa: BLE001 - until the Sentinel tells of the new master
        return False
    return True
