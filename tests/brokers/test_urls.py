"""What a broker's URL says, and what is refused in words."""

import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import brokers

PROJECT = Path(__file__).resolve().parents[2]


def test_a_redis_url_stays_as_it_is():
    url = "redis://user:password@host:6379/2"
    assert brokers.read(url).url == url
    assert brokers.read(url).queues(["evaluate"]) is None


def test_a_socket_is_written_as_kombu_does():
    assert brokers.read("unix:///run/redis.sock?db=3").url == "redis+socket:///run/redis.sock?virtual_host=3"
    assert brokers.read("unix://:word@/run/redis.sock").url == "redis+socket://:word@/run/redis.sock?virtual_host=0"


def test_sentinels_are_taken_out_of_the_url():
    one, two = "sentinel://:word@one:26379/0", "sentinel://:word@two:26379/0"
    broker = brokers.read(f"{one};{two}?master_name=badges&sentinel_password=other")
    assert broker.url == f"{one};{two}"
    assert broker.options["master_name"] == "badges"
    assert broker.options["sentinel_kwargs"]["password"] == "other"
    assert broker.options["visibility_timeout"] == 60


def test_rabbitmq_has_quorum_queues_and_confirms():
    broker = brokers.read("amqp://user:password@host:5672/badges")
    [queue] = broker.queues(["evaluate"]) or []
    assert queue.queue_arguments == {"x-queue-type": "quorum", "x-delivery-limit": brokers.MOST_DELIVERIES}
    assert broker.options["confirm_publish"]


def test_rabbitmq_over_tls_has_to_prove_its_name_unless_it_need_not():
    named = brokers.read("amqps://host:5671/?ssl_ca_certs=/authority.pem")
    assert named.url == "amqps://host:5671/"
    assert named.ssl == {"ca_certs": "/authority.pem", "server_hostname": None, "cert_reqs": ssl.CERT_REQUIRED}
    assert brokers.read("amqps://host/?ssl_cert_reqs=none").ssl == {"cert_reqs": ssl.CERT_NONE}


REFUSED = {
    "sentinel://host:26379/0": "the name of the master must be told: add ?master_name=",
    "sentinel://host:26379/0?master_name=m&tls=yes": "tls after the ? means nothing here",
    "amqp://host/?ssl_ca_certs=/authority.pem": "ssl_ca_certs after the ? means nothing here",
    "amqps://host/?ssl_cert_reqs=maybe": "ssl_cert_reqs must be none or optional or required",
    "redis+cluster://host:6379/0": "must be a URL that starts with",
}
REFUSED_BY_EACH = {
    "redis://host/0?foo=1": "does not take what stands after the ?",
    "redis://host/0?socket_timeout=abc": "does not take what stands after the ?",
    "rediss://host/0?ssl_cert_reqs=maybe": "does not take what stands after the ?",
    "unix:///redis.sock?db=one": "does not take what stands after the ?",
}
REFUSED_BY_CELERY = {"redis://host/0?socket_timeout=3": "socket_timeout after the ? means nothing to Celery"}


@pytest.mark.parametrize(
    ("name", "url", "refusal"),
    [
        *(("CELERY_BROKER_URL", *refused) for refused in (REFUSED | REFUSED_BY_EACH | REFUSED_BY_CELERY).items()),
        *(("EVENT_BUS_REDIS_CONNECTION_URL", *refused) for refused in REFUSED_BY_EACH.items()),
    ],
)
def test_a_url_that_can_not_work_ends_the_start_with_one_line(name: str, url: str, refusal: str, tmp_path: Path):
    given = {"PATH": os.environ["PATH"], "SECRET_KEY": "x", "DATABASE_URL": f"sqlite:///{tmp_path}/db"}
    ended = subprocess.run(
        [sys.executable, "-c", "import pipeline.settings"],
        cwd=PROJECT,
        env={**given, name: url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Configuration error: {name}: ")
    assert refusal in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
