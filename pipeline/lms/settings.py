"""Settings of a stand-in for the LMS, for trials only: `DJANGO_SETTINGS_MODULE=pipeline.lms.settings`.

It takes the same environment as the pipeline and adds what the Open edX documentation ("Badges settings") gives the
platform's services: their feature switch, their event bus with the stock producer and consumer, their signals.
One correction: a CCX event has no `course.course_key`, so its key is read from `course.ccx_course_key`.
"""

import os
from typing import Any

from pipeline.settings import *  # noqa: F403 - an LMS of the same deployment differs in what follows only
from pipeline.settings import BADGES_ENABLED, BADGES_TOPIC, EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS, INSTALLED_APPS

FEATURES = {"BADGES_ENABLED": BADGES_ENABLED}


def _should_send_learning_badge_events(settings: Any) -> bool:
    """Whether the events that badges are built on are published."""
    return bool(settings.FEATURES["BADGES_ENABLED"])


EVENTS_SERVICE_NAME = "lms"
EVENT_BUS_PRODUCER = "edx_event_bus_redis.create_producer"
EVENT_BUS_CONSUMER = "edx_event_bus_redis.RedisEventConsumer"
if EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS:
    EVENT_BUS_PRODUCER = "pipeline.lms.kafka.create_producer"
    EVENT_BUS_CONSUMER = "edx_event_bus_kafka.KafkaEventConsumer"
EVENT_BUS_PRODUCER_CONFIG = {
    "org.openedx.learning.course.passing.status.updated.v1": {
        BADGES_TOPIC: {
            "event_key_field": "course_passing_status.course.course_key",
            "enabled": _should_send_learning_badge_events,
        },
    },
    "org.openedx.learning.ccx.course.passing.status.updated.v1": {
        BADGES_TOPIC: {
            "event_key_field": "course_passing_status.course.ccx_course_key",
            "enabled": _should_send_learning_badge_events,
        },
    },
}
# One line per event would cost more than the event.
EVENT_BUS_REDIS_AUDIT_LOGGING_ENABLED = EVENT_BUS_KAFKA_AUDIT_LOGGING_ENABLED = False

# The LMS has a database of its own: nothing here may reach the pipeline's.
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
INSTALLED_APPS = [*INSTALLED_APPS, "pipeline.lms.apps.LmsConfig"]

LMS_SIGNALS_FILE = os.environ.get("LMS_SIGNALS_FILE", "")
"""Where received signals are written, one JSON line each; empty: they are only logged."""
