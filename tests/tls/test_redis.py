"""Redis over TLS: the bus, the broker and the counters take the same URL, and trust only whom it says."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from celery import Celery
from kombu import pools
from limits import RateLimitItemPerMinute
from redis import Redis

from pipeline import counting, nudges
from pipeline.bus.connection import connect
from pipeline.embedded.redis import RedisServer
from tests.tls.certificates import Certificates, door, make_certificates

PROJECT = Path(__file__).resolve().parents[2]
LIMIT = RateLimitItemPerMinute(1)
NOT_COUNTED = "it was not counted in Redis"
REFUSED = f"certificate verify failed|CERTIFICATE_VERIFY_FAILED|{NOT_COUNTED}"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def other_authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that signed nothing here."""
    return make_certificates(tmp_path_factory.mktemp("other")).authority


@pytest.fixture(scope="module")
def tls_port(certificates: Certificates, redis_server: RedisServer) -> Iterator[int]:
    with door(certificates, redis_server.port) as port:
        yield port


@pytest.fixture
def url(tls_port: int, certificates: Certificates) -> str:
    """As `REDIS_URL` is to be written."""
    return f"rediss://127.0.0.1:{tls_port}/0?ssl_cert_reqs=required&ssl_ca_certs={certificates.authority}"


def speak_to_bus(url: str) -> None:
    with connect(url) as client:
        assert client.ping()


def speak_to_broker(url: str) -> None:
    """Raises what `/readyz` and the first nudge of a worker would meet."""
    app = Celery("pipeline", set_as_current=False)
    app.config_from_object("celeryconfig")
    app.conf.update(broker_url=url, broker_read_url=url, broker_write_url=url)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(nudges, "app", app)
            nudges.ping()
            app.send_task("evaluate", args=[[]], ignore_result=True)
    finally:
        pools.reset()  # they are told apart by address alone


def speak_to_counter(url: str) -> None:
    """Raises if counting went on without Redis."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting.settings, "CELERY_BROKER_URL", url)
        visits = f"{uuid4()}"
        assert counting.Counter("Visits").hit(LIMIT, visits)
        assert not counting.Counter("Visits").hit(LIMIT, visits), NOT_COUNTED


USES: dict[str, Callable[[str], None]] = {"bus": speak_to_bus, "broker": speak_to_broker, "counter": speak_to_counter}


@pytest.mark.parametrize("use", USES)
def test_a_server_whose_authority_is_named_is_trusted(use: str, url: str, redis_server: RedisServer):
    USES[use](url)
    if use == "broker":
        with Redis.from_url(redis_server.url) as plain:
            assert plain.lpop("evaluate")


@pytest.mark.parametrize("use", USES)
def test_a_server_that_another_authority_signed_is_not_spoken_to(use: str, url: str, other_authority: Path):
    before, _, _ = url.rpartition("=")
    with pytest.raises(Exception, match=REFUSED):
        USES[use](f"{before}={other_authority}")


@pytest.fixture
def settings_of(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """The URL by which a process with these variables calls Redis, for each use."""

    def read(**variables: str) -> dict[str, str]:
        code = "from pipeline import settings as s; print(s.CELERY_BROKER_URL, s.EVENT_BUS_REDIS_CONNECTION_URL)"
        given = {"PATH": os.environ["PATH"], "SECRET_KEY": "x", "DATABASE_URL": f"sqlite:///{tmp_path}/db", **variables}
        said = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, env=given, capture_output=True, check=True)
        broker, bus = said.stdout.decode().split()
        return {"broker": broker, "bus": bus, "counter": broker}

    return read


@pytest.mark.parametrize("use", USES)
def test_who_does_not_say_whom_to_trust_trusts_the_systems_authorities_only(
    use: str, tls_port: int, settings_of: Callable[..., dict[str, str]]
):
    with pytest.raises(Exception, match=REFUSED):
        USES[use](settings_of(REDIS_URL=f"rediss://127.0.0.1:{tls_port}/0")[use])


@pytest.mark.parametrize("use", USES)
def test_verification_can_be_switched_off_as_some_platforms_need_it(
    use: str, tls_port: int, redis_server: RedisServer, settings_of: Callable[..., dict[str, str]]
):
    USES[use](settings_of(REDIS_URL=f"rediss://127.0.0.1:{tls_port}/0", REDIS_TLS_VERIFY="false")[use])
    with Redis.from_url(redis_server.url) as plain:
        plain.delete("evaluate")


def test_what_an_url_says_itself_of_verification_stands(settings_of: Callable[..., dict[str, str]]):
    for url in ("rediss://h:1/0?ssl_cert_reqs=none", "redis://h:1/0"):
        assert set(settings_of(REDIS_URL=url).values()) == {url}
    named = "rediss://h:1/0?ssl_ca_certs=/authority.pem"
    assert settings_of(REDIS_URL=named)["broker"] == f"{named}&ssl_cert_reqs=required"
    assert set(settings_of(REDIS_URL=named, REDIS_TLS_VERIFY="false").values()) == {f"{named}&ssl_cert_reqs=none"}
