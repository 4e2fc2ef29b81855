"""What Celery has to be told of a broker, by the URL that operators write: Redis, Redis with Sentinels, RabbitMQ.

Schemes that are none of these are refused in `pipeline.settings`, before this is asked.
"""

import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from kombu.entity import Exchange, Queue
from kombu.utils.url import parse_url
from redis import Redis
from redis.exceptions import RedisError

MASTER = "master_name"
TLS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs")
SENTINEL_PASSWORD = "sentinel_password"  # noqa: S105 - a name

MOST_DELIVERIES = 20
"""RabbitMQ drops a message that this many workers gave back, which no other broker counts; RabbitMQ 4 does so by itself.

Far above `claims.MOST_TAKEN_UP`: what kills its worker is to be set aside with a reason long before, and workers that end, for
an upgrade too, give back messages that they never looked at.  What is dropped is nudged again: the database is the ledger."""

REDIS_OPTIONS: Mapping[str, Any] = {
    # Twice as long as any task may run; a message is given to another worker this long after its worker died.
    "visibility_timeout": 60,
    # Celery looks for such messages only every interval x throttle = 100 s unless told otherwise.
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    # Without these, publishing to a stopped Redis hangs for ever.
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 25,
}
RABBITMQ_OPTIONS: Mapping[str, Any] = {"confirm_publish": True, "write_timeout": 10}

_VERIFICATION = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


@dataclass(frozen=True)
class Broker:
    """Settings of Celery's."""

    url: str
    """`broker_url`."""

    options: Mapping[str, Any] = field(default_factory=dict)
    """`broker_transport_options`."""

    ssl: Mapping[str, Any] | None = None
    """`broker_use_ssl`: of RabbitMQ; of Redis Celery itself reads it in the URL, and Flower's broker page does not."""

    queue_arguments: Mapping[str, Any] | None = None
    """What the broker has to know of each queue."""

    retry_delay: float = 1
    """`default_retry_delay` of tasks: Celery's own 180 s is longer than the visibility timeout.  RabbitMQ has none."""

    def queues(self, names: Iterable[str]) -> list[Queue] | None:
        """`task_queues`; None where Celery's own way is right."""
        if self.queue_arguments is None:
            return None
        told = dict(self.queue_arguments)
        return [Queue(name, Exchange(name), name, queue_arguments=told) for name in names]  # type: ignore[no-untyped-call]


def read(url: str) -> Broker:
    """The broker at a URL.

    Raises:
        ValueError: the URL says what can't be done; in words, without showing it.
    """
    scheme = urlsplit(url).scheme
    if scheme == "sentinel":
        return _sentinels(url)
    if scheme in ("amqp", "amqps"):
        return _rabbitmq(url)
    check_redis(url)
    if scheme == "unix":
        return Broker(_socket(url), dict(REDIS_OPTIONS))
    if strange := [name for name, _ in parse_qsl(urlsplit(url).query) if not name.startswith("ssl_")]:
        raise ValueError(f"{', '.join(strange)} after the ? means nothing to Celery")
    return Broker(url, dict(REDIS_OPTIONS), parse_url(url).get("ssl"))


def check_redis(url: str) -> None:
    """Have the client of Redis read a URL, by which the bus, the broker and the counters go; nothing is connected to.

    Raises:
        ValueError: it says what that client does not take; in words, without showing it.
    """
    try:
        Redis.from_url(url).connection_pool.make_connection()
    except (TypeError, ValueError, RedisError) as error:
        raise ValueError(f"the client of Redis does not take what stands after the ?: {error}") from None


def _socket(url: str) -> str:
    """As kombu writes what redis-py writes `unix://:password@/path?db=1`."""
    parts = urlsplit(url)
    database = dict(parse_qsl(parts.query)).get("db", "0")
    return f"redis+socket://{parts.netloc}{parts.path}?virtual_host={database}"


def _sentinels(url: str) -> Broker:
    """The query names the master, and the Sentinels' own password if they have one."""
    addresses, told = _taken_apart(url)
    if MASTER not in told:
        raise ValueError(f"with sentinel:// the name of the master must be told: add ?{MASTER}=... to the URL")
    _refuse_others(told, (MASTER, SENTINEL_PASSWORD))
    login = {"password": told[SENTINEL_PASSWORD]} if SENTINEL_PASSWORD in told else {}
    timeouts = {name: REDIS_OPTIONS[name] for name in ("socket_timeout", "socket_connect_timeout")}
    return Broker(addresses, {**REDIS_OPTIONS, MASTER: told[MASTER], "sentinel_kwargs": {**timeouts, **login}})


def _rabbitmq(url: str) -> Broker:
    """TLS is told in the query, as for Redis."""
    addresses, told = _taken_apart(url)
    is_encrypted = addresses.startswith("amqps:")
    _refuse_others(told, TLS if is_encrypted else ())
    return Broker(
        addresses,
        dict(RABBITMQ_OPTIONS),
        _verification({name.removeprefix("ssl_"): value for name, value in told.items()}) if is_encrypted else None,
        {"x-queue-type": "quorum", "x-delivery-limit": MOST_DELIVERIES},
        retry_delay=0,
    )


def _taken_apart(url: str) -> tuple[str, dict[str, str]]:
    """The address of each node, with `;` in between, and what any of their queries says."""
    nodes = [urlsplit(address) for address in url.split(";")]
    told = {name: value for node in nodes for name, value in parse_qsl(node.query)}
    return ";".join(node._replace(query="").geturl() for node in nodes), told


def _refuse_others(told: Iterable[str], allowed: tuple[str, ...]) -> None:
    if strange := sorted(set(told) - set(allowed)):
        raise ValueError(
            f"{', '.join(strange)} after the ? means nothing here; allowed: {', '.join(allowed) or 'none'}"
        )


def _verification(told: dict[str, str]) -> dict[str, Any]:
    """By itself its library believes whatever name an authority has signed."""
    if (word := told.pop("cert_reqs", "required")) not in _VERIFICATION:
        raise ValueError(f"ssl_cert_reqs must be {' or '.join(_VERIFICATION)}")
    required = _VERIFICATION[word]
    by_name = {"server_hostname": None} if required == ssl.CERT_REQUIRED else {}
    return {**told, **by_name, "cert_reqs": required}
