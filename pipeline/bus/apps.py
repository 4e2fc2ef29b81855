"""The app of ``openedx-events``, taught what the documentation of its settings shows."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from openedx_events.apps import OpenedxEventsConfig
from openedx_events.exceptions import ProducerConfigurationError

from pipeline.bus.topics import is_enabled
from pipeline.environment import ConfigurationError


class EventsConfig(OpenedxEventsConfig):
    """Accepts functions of the settings as ``enabled`` in ``EVENT_BUS_PRODUCER_CONFIG``.

    edx-platform resolves such functions itself before openedx-events sees them, which refuses anything but booleans.
    """

    name = "openedx_events"
    label = "openedx_events"

    def ready(self) -> None:
        """Replace each function by its result, then let openedx-events connect its handlers. May be repeated.

        Raises ConfigurationError, which ends the process with one line, when openedx-events refuses the setting.
        """
        for options in _options():
            if callable(options.get("enabled")):
                options["enabled"] = is_enabled(options["enabled"])
        try:
            super().ready()
        except ProducerConfigurationError as refusal:
            raise ConfigurationError(f"EVENT_BUS_PRODUCER_CONFIG: {refusal}") from None


def _options() -> Iterator[dict[str, Any]]:
    """The options of every topic; what has another shape is left to openedx-events to refuse."""
    for topics in settings.EVENT_BUS_PRODUCER_CONFIG.values():
        if isinstance(topics, dict):
            yield from (options for options in topics.values() if isinstance(options, dict))
