"""System checks of the settings, so that a misspelt event type or path stops the start and not a learner."""

import os
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import attrs
from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection
from django.utils.module_loading import import_string

from pipeline import redis_servers
from pipeline.bus.catalogue import badge_event_types, event_types, find_signal
from pipeline.bus.codec import can_travel
from pipeline.configuration import keys, organizations
from pipeline.environment import addresses
from pipeline.models import Organization

SHORTEST_SECRET = 16
"""Characters; a shorter one can be guessed."""

UNENCRYPTED = {
    "http": "Write https:// instead.",
    "redis": "Write rediss:// instead, here or in REDIS_URL.",
    "sentinel": "Its servers need TLS.",
    "amqp": "Write amqps:// instead.",
}
"""Schemes of URLs over which others on the way read along, and what to do about it."""

ENCRYPTED_MODES = {
    "sslmode": ("require", "verify-ca", "verify-full"),
    "ssl_mode": ("REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"),
}
"""Options with which PostgreSQL and MySQL are never spoken to in the clear (PostgreSQL's documentation, "SSL Support"; MySQL's,
"Command Options for Encrypted Connections")."""

KAFKA_PACKAGES = ("confluent_kafka", "edx_event_bus_kafka")


@checks.register
def check_badge_events(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """``BADGES_CONFIG["events"]``: E001 for one that is unknown or has no learner, W002 for one that no bus carries."""
    return [message for name in settings.BADGES_CONFIG["events"] for message in _check_badge_event(name)]


@checks.register
def check_event_keys(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """``EVENT_BUS_PRODUCER_CONFIG``: E002 for an ``event_key_field`` that is no path in the event's data.

    The configuration's shape and the existence of its event types are checked by openedx-events at the start.
    """
    return [
        message
        for name, topics in settings.EVENT_BUS_PRODUCER_CONFIG.items()
        for topic, options in topics.items()
        for message in _check_event_key(name, topic, options["event_key_field"])
    ]


@checks.register
def check_event_bus(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """``EVENT_BUS_PRODUCER``, ``EVENT_BUS_CONSUMER``: E003 for a path to nothing, which openedx-events only warns of.

    Nothing while Kafka's packages are missing: then E004 says why.
    """
    if settings.EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS and _missing_for_kafka():
        return []
    return [
        checks.Error(
            f'{name}: "{getattr(settings, name)}" can\'t be imported: {error}.',
            hint="It must be the dotted path of a class or function; leave it out for this project's own.",
            id="badges.E003",
        )
        for name in ("EVENT_BUS_PRODUCER", "EVENT_BUS_CONSUMER")
        if (error := _import_error(getattr(settings, name)))
    ]


@checks.register
def check_kafka(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """``EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS``: E004 if what Kafka needs is not installed, E005 without a schema registry."""
    if not settings.EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS:
        return []
    found: list[CheckMessage] = []
    if missing := _missing_for_kafka():
        what = f"EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS: for Kafka {' and '.join(missing)} must be installed."
        found.append(checks.Error(what, hint="Run: pip install -r requirements-kafka.txt", id="badges.E004"))
    if not settings.EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL:
        what = "EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL is missing; no message on Kafka can be read or written without it."
        found.append(checks.Error(what, hint="Set it to the address that the LMS has.", id="badges.E005"))
    return found


@checks.register
def check_mysql_backend(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """``DATABASES``: E006 for MySQL by another backend than ours, which keeps its promises whatever the server's settings."""
    engine = settings.DATABASES[DEFAULT_DB_ALIAS]["ENGINE"]
    if connection.vendor != "mysql" or engine == "pipeline.mysql":
        return []
    what = f'DATABASES: with the backend "{engine}" what is promised would hang on how MySQL is set up.'
    hint = "Leave DATABASES out of the file and set DATABASE_URL=mysql://user:password@host/name."
    return [checks.Error(what, hint=hint, id="badges.E006")]


@checks.register
def check_badges_config_keys(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """``BADGES_CONFIG``: W003 for a key that means nothing here."""
    config = settings.BADGES_CONFIG
    known = settings.BADGES_CONFIG_DEFAULTS
    parts = [("BADGES_CONFIG", config, known)]
    parts += [(f'BADGES_CONFIG["{name}"]', config[name], known[name]) for name in ("credly", "rules")]
    return [
        checks.Warning(f'{label}: the key "{key}" means nothing here.', hint=_near(key, allowed), id="badges.W003")
        for label, given, allowed in parts
        for key in given
        if key not in allowed
    ]


@checks.register
def check_ignored_key_paths(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """``BADGES_CONFIG["rules"]["ignored_keypaths"]``: W001 for one that no configured event has."""
    known = {
        written
        for event in badge_event_types().values()
        for path in event.key_paths
        for written in event.written_forms(path)
    }
    if not known:
        return []
    return [
        checks.Warning(
            f'BADGES_CONFIG["rules"]["ignored_keypaths"]: no configured event has the path "{path}".',
            hint=_near(path, known),
            id="badges.W001",
        )
        for path in settings.BADGES_CONFIG["rules"]["ignored_keypaths"]
        if path not in known
    ]


@checks.register(checks.Tags.database)
def check_api_keys(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Organizations: W004 for an API key that expires within 30 days or has expired, W005 for one without a key.

    It asks the database, so it has Django's tag for that and runs only where databases are named: by `migrate`, and by our
    `check`, which names the default one.  Workers, consumers and the web run no such check when they start, and a
    database that is away or has no tables yet makes no difference here.
    """
    if DEFAULT_DB_ALIAS not in (databases or ()):
        return []
    try:
        return [*map(_check_expiry, keys.expiring()), *_check_missing_keys()]
    except DatabaseError:
        return []


@checks.register(checks.Tags.database)
def check_redis(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None, **kwargs: Any
) -> list[CheckMessage]:
    """The Redis servers: W010 for one that evicts, W011 for one that keeps nothing over a restart, E010 for a Cluster.

    It asks them, so it runs where `check_api_keys` does; one that is away makes no difference here.
    """
    if DEFAULT_DB_ALIAS not in (databases or ()):
        return []
    return [
        (checks.Error if danger.is_fatal else checks.Warning)(danger.what, hint=danger.hint, id=danger.id)
        for danger in redis_servers.dangers()
    ]


@checks.register(checks.Tags.security, deploy=True)
def check_webhook_secret(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """``CREDLY_WEBHOOK_SECRET``: W006 if it is empty, for a site that others can reach."""
    if settings.CREDLY_WEBHOOK_SECRET:
        return []
    what = "CREDLY_WEBHOOK_SECRET is empty, so anybody can post webhooks, and each one costs calls to Credly."
    return [
        checks.Warning(what, hint="Choose a secret and set it here and at Credly (docs/webhooks.md).", id="badges.W006")
    ]


@checks.register(checks.Tags.security, deploy=True)
def check_metrics_token(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """``METRICS_TOKEN``: W007 if it is so short that it can be guessed.  Without one the metrics are closed."""
    if not 0 < len(settings.METRICS_TOKEN) < SHORTEST_SECRET:
        return []
    what = f"METRICS_TOKEN has less than {SHORTEST_SECRET} characters, so it can be guessed."
    return [checks.Warning(what, hint="Make one with: openssl rand -hex 32", id="badges.W007")]


@checks.register(checks.Tags.security, deploy=True)
def check_encryption(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Credly, the broker, the event bus, the database: W008 for one that is called over a network without TLS."""
    credly = settings.BADGES_CONFIG["credly"]
    called = {name: credly[name] for name in ("CREDLY_API_BASE_URL", "CREDLY_SANDBOX_API_BASE_URL")}
    for name in ("CELERY_BROKER_URL", "EVENT_BUS_REDIS_CONNECTION_URL", "EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL"):
        called[name] = getattr(settings, name)
    return [*_check_urls(called), *_check_brokers(), *_check_database(settings.DATABASES[DEFAULT_DB_ALIAS])]


def _check_urls(called: Mapping[str, str]) -> Iterator[CheckMessage]:
    for name, parts in ((name, urlsplit(node)) for name, url in called.items() for node in addresses(url)):
        if parts.scheme in UNENCRYPTED and _is_elsewhere(parts.hostname or ""):
            yield _unencrypted(name, str(parts.hostname), UNENCRYPTED[parts.scheme])


def _check_brokers() -> Iterator[CheckMessage]:
    """edx-event-bus-kafka speaks TLS where it logs in, and only there."""
    if settings.EVENT_BUS_KAFKA_API_KEY:
        return
    for broker in filter(None, settings.EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS.split(",")):
        host = broker.strip().rpartition(":")[0].strip("[]")
        if _is_elsewhere(host):
            hint = "With EVENT_BUS_KAFKA_API_KEY and EVENT_BUS_KAFKA_API_SECRET it is TLS."
            yield _unencrypted("EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS", host, hint)


def _check_database(database: Mapping[str, Any]) -> Iterator[CheckMessage]:
    match database["ENGINE"].rpartition(".")[2]:
        case "postgresql":
            option, default, hint = (
                "sslmode",
                os.environ.get("PGSSLMODE"),
                "Add ?sslmode=verify-full, or set PGSSLMODE.",
            )
        case "mysql":
            option, default, hint = "ssl_mode", None, "Add ?ssl_mode=VERIFY_IDENTITY&ssl-ca=/path/authority.pem."
        case _:
            return
    mode = database.get("OPTIONS", {}).get(option) or default
    if mode not in ENCRYPTED_MODES[option] and _is_elsewhere(database["HOST"]):
        yield _unencrypted("DATABASE_URL", database["HOST"], hint)


def _unencrypted(name: str, host: str, hint: str) -> CheckMessage:
    what = f"{name}: what is said to {host} may be read on the way."
    return checks.Warning(what, hint=f"{hint} In a network that nobody else is in it may stay.", id="badges.W008")


def _is_elsewhere(host: str) -> bool:
    """Whether it is another machine.  None, or a folder, is a socket on this one."""
    if host in ("", "localhost") or host.startswith("/"):
        return False
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return True


def _check_expiry(key: keys.Expiring) -> CheckMessage:
    what = f"The API key of {key.organization} ({key.organization.uuid})"
    when = f"{'expired' if key.days < 0 else 'expires'} on {key.expires:%Y-%m-%d}"
    hint = "Make a new one at Credly and set it here (docs/organizations.md)."
    return checks.Warning(f"{what} {when}.", hint=hint, id="badges.W004")


def _check_missing_keys() -> Iterator[CheckMessage]:
    for organization in Organization.objects.all():
        try:
            organizations.api_key(organization)
        except organizations.KeyMissing as missing:
            yield checks.Warning(f"{organization} ({organization.uuid}): {missing}", id="badges.W005")


def _missing_for_kafka() -> list[str]:
    return [name for name in KAFKA_PACKAGES if find_spec(name) is None]


def _import_error(path: str) -> str:
    try:
        import_string(path)
    except ImportError as error:
        return str(error)
    return ""


def _check_badge_event(name: str) -> Iterator[CheckMessage]:
    if name not in event_types():
        problem = "has no user data in its payload" if find_signal(name) else "is unknown"
        yield checks.Error(
            f'BADGES_CONFIG["events"]: the event type "{name}" {problem}.',
            hint=_near(name, event_types()),
            id="badges.E001",
        )
    elif not can_travel(name):
        yield checks.Warning(
            f'BADGES_CONFIG["events"]: openedx-events cannot put events of type "{name}" on the event bus.',
            hint="Remove it: no such event will ever arrive.",
            id="badges.W002",
        )


def _check_event_key(name: str, topic: str, key_field: str) -> Iterator[CheckMessage]:
    signal = find_signal(name)
    if signal is None:
        return
    known = set(_data_paths(signal.init_data))
    if key_field not in known:
        yield checks.Error(
            f'EVENT_BUS_PRODUCER_CONFIG["{name}"]["{topic}"]: the event has no "{key_field}".',
            hint=_near(key_field, known),
            id="badges.E002",
        )


def _data_paths(data: Mapping[str, Any]) -> Iterator[str]:
    for name, data_type in data.items():
        yield name
        if isinstance(data_type, type) and attrs.has(data_type):
            fields = {field.name: field.type for field in attrs.fields(data_type)}
            yield from (f"{name}.{path}" for path in _data_paths(fields))


def _near(word: str, known: set[str] | Mapping[str, Any]) -> str:
    matches = get_close_matches(word, sorted(known), n=3)
    return f"Did you mean {' or '.join(matches)}?" if matches else f"Known are: {', '.join(sorted(known))}."
