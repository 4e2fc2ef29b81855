"""The app of ``openedx-events``, taught what the documentation of its settings shows."""

from django.conf import settings
from openedx_events.apps import OpenedxEventsConfig

from pipeline.bus.topics import is_enabled


class EventsConfig(OpenedxEventsConfig):
    """Accepts functions of the settings as ``enabled`` in ``EVENT_BUS_PRODUCER_CONFIG``.

    edx-platform resolves such functions itself before openedx-events sees them, which refuses anything but booleans.
    """

    name = "openedx_events"
    label = "openedx_events"

    def ready(self) -> None:
        """Replace each function by its result, then let openedx-events connect its handlers. May be repeated."""
        for topics in settings.EVENT_BUS_PRODUCER_CONFIG.values():
            for options in topics.values():
                if callable(options.get("enabled")):
                    options["enabled"] = is_enabled(options["enabled"])
        super().ready()
