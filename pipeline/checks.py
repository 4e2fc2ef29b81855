"""System checks of the badge settings, so that a misspelt event type or path stops the start and not a learner."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import attrs
from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage
from django.db import DEFAULT_DB_ALIAS, DatabaseError
from django.utils.module_loading import import_string

from pipeline import redis_servers
from pipeline.bus.catalogue import badge_event_types, event_types, find_signal
from pipeline.bus.codec import can_travel
from pipeline.configuration import keys, organizations
from pipeline.models import Organization

SHORTEST_TOKEN = 16


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
    """``EVENT_BUS_PRODUCER``, ``EVENT_BUS_CONSUMER``: E003 for a path to nothing, which openedx-events only warns of."""
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
    if not 0 < len(settings.METRICS_TOKEN) < SHORTEST_TOKEN:
        return []
    what = f"METRICS_TOKEN has less than {SHORTEST_TOKEN} characters, so it can be guessed."
    return [checks.Warning(what, hint="Make one with: openssl rand -hex 32", id="badges.W007")]


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
