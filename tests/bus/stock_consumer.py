"""A consumer as others run it: edx-event-bus-redis alone, without this project. Prints the first event and ends.

Arguments: Redis URL, topic prefix, topic.
"""

import json
import os
import sys

import attr
from django.conf import settings

if __name__ == "__main__":
    url, prefix, topic = sys.argv[1:]
    settings.configure(
        EVENT_BUS_REDIS_CONNECTION_URL=url,
        EVENT_BUS_TOPIC_PREFIX=prefix,
        OPENEDX_TELEMETRY=[],
        INSTALLED_APPS=["openedx_events"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    )
    import django

    django.setup()
    from edx_event_bus_redis import RedisEventConsumer
    from openedx_events.learning.signals import BADGE_AWARDED

    def show(sender, badge, metadata, **kwargs):
        json.dump({"badge": attr.asdict(badge), "metadata": metadata.to_json_data()}, sys.stdout)
        sys.stdout.flush()
        os._exit(0)

    BADGE_AWARDED.connect(show, weak=False)
    RedisEventConsumer(topic, "lms_dev", "lms_dev.consumer1", check_backlog=True).consume_indefinitely()
