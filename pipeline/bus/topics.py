"""On which topics events of a type are published: ``EVENT_BUS_PRODUCER_CONFIG``."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings


def is_enabled(enabled: Any) -> bool:
    """The meaning of an ``enabled``: a boolean or, as in edx-platform, a function of the settings."""
    return bool(enabled(settings) if callable(enabled) else enabled)


def enabled_topics(event_type: str) -> dict[str, str]:
    """The topics that events of this type go to, each with its ``event_key_field``."""
    topics: Mapping[str, Mapping[str, Any]] = settings.EVENT_BUS_PRODUCER_CONFIG.get(event_type, {})
    return {name: options["event_key_field"] for name, options in topics.items() if is_enabled(options["enabled"])}
