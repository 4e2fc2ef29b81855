"""The Redis servers of the broker and the event bus, asked whether they keep what they are given.

Asked by `manage.py check`, and once by each process as it starts.  A server that is away, or tells nothing, is passed over.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from redis import Redis
from redis.exceptions import RedisError, ResponseError

logger = logging.getLogger(__name__)

ANSWER_SECONDS = 2.0

PORT = 6379
"""Where none is named."""

KINDS = ("redis", "rediss", "unix")
BROKER, BUS = "CELERY_BROKER_URL", "EVENT_BUS_REDIS_CONNECTION_URL"
LOST = {
    BUS: "Of the event bus, events that were not read yet may be lost, and our signals that the LMS did not read.",
    BROKER: "Of the broker nothing is lost: the database nudges again, but work waits for half a minute or so.",
}


@dataclass(frozen=True)
class Danger:
    """What a server may do to what it was given."""

    id: str
    what: str
    hint: str
    is_fatal: bool = False


def dangers() -> list[Danger]:
    """What the servers' own settings put at risk; nothing of a server that does not answer."""
    found: list[Danger] = []
    for server, uses in _servers().items():
        try:
            with Redis.from_url(
                server, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS, decode_responses=True
            ) as redis:
                found += _dangers_of(redis, uses)
        except (RedisError, OSError) as error:
            # The kind of error only: its text may hold the address and the login.
            logger.debug("%s was not asked about its settings (%s)", " and ".join(uses), type(error).__name__)
    return found


def warn() -> None:
    """Log each of `dangers` as a warning; for a process that starts."""
    for danger in dangers():
        logger.warning("%s %s", danger.what, danger.hint)


def _servers() -> Mapping[str, list[str]]:
    """Which settings each server is named in.  One server may be both, by another number of its databases.

    Where the event bus is Kafka, nothing is lost with what is named for it.
    """
    uses: defaultdict[str, list[str]] = defaultdict(list)
    urls: dict[str, str] = {}
    for name in (BROKER,) if settings.EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS else (BUS, BROKER):
        url: str = getattr(settings, name)
        parts = urlsplit(url)
        if parts.scheme in KINDS:
            server = f"{parts.hostname}:{parts.port or PORT}" if parts.hostname else parts.path
            uses[urls.setdefault(server, url)].append(name)
    return uses


def _dangers_of(redis: Redis, uses: list[str]) -> Iterator[Danger]:
    told: Any = redis.info("all")
    named = " and ".join(uses)
    policy = told.get("maxmemory_policy", "noeviction")
    if told.get("cluster_enabled"):
        yield _cluster(named)
    # The volatile policies throw away only what has a time to live: nothing on the bus or in the broker's queues.
    if policy.startswith("allkeys") and told.get("maxmemory"):
        yield Danger(
            "badges.W010",
            f"{named}: this Redis throws away anything once its memory is full (maxmemory-policy is {policy}). {_lost(uses)}",
            "Set maxmemory-policy to noeviction.",
        )
    if BUS in uses and not told.get("aof_enabled", 1) and _never_saves(redis):
        yield Danger(
            "badges.W011",
            f"{named}: this Redis keeps everything in memory only, so a restart empties it. {_lost(uses)}",
            "Set appendonly to yes.",
        )


def _cluster(named: str) -> Danger:
    return Danger(
        "badges.E010",
        f"{named}: this is a node of a Redis Cluster, with which neither Celery nor the LMS's side of the event bus works.",
        "Use a Redis without cluster mode; for one that survives the loss of a machine see docs/brokers.md.",
        is_fatal=True,
    )


def _lost(uses: list[str]) -> str:
    return " ".join(LOST[use] for use in uses)


def _never_saves(redis: Redis) -> bool:
    """Whether no snapshots are made; False where the server won't tell, as managed ones do."""
    try:
        told: Any = redis.config_get("save")
    except ResponseError as error:
        logger.debug("Redis does not tell when it saves (%s)", type(error).__name__)
        return False
    return bool(told.get("save") == "")
