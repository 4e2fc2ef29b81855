"""A consumer as others run it: edx-event-bus-kafka alone, without this project.  Prints the signals it reads, one line each.

Arguments: brokers, schema registry, topic prefix, topic, how many.
"""

import json
import os
import sys

import attr
from django.conf import settings

if __name__ == "__main__":
    brokers, registry, prefix, topic, number = sys.argv[1:]
    settings.configure(
        EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS=brokers,
        EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL=registry,
        EVENT_BUS_TOPIC_PREFIX=prefix,
        OPENEDX_TELEMETRY=[],
        INSTALLED_APPS=["openedx_events"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    )
    import django

    django.setup()
    from confluent_kafka import Consumer
    from edx_event_bus_kafka import KafkaEventConsumer
    from edx_event_bus_kafka.internal.config import load_common_settings
    from openedx_events.learning.signals import BADGE_AWARDED, BADGE_REVOKED

    class FromTheBeginning(KafkaEventConsumer):
        """It has no setting for where a new group begins."""

        def _create_consumer(self):
            start = {"group.id": f"lms-{prefix}", "enable.auto.commit": False, "auto.offset.reset": "earliest"}
            return Consumer(load_common_settings() | start)

        def _deserialize_message_value(self, msg, signal):
            keys.append((msg.key() or b"").decode("latin-1"))
            return super()._deserialize_message_value(msg, signal)

    keys: list[str] = []
    left = int(number)

    def show(sender, badge, metadata, **kwargs):
        global left
        told = {"badge": attr.asdict(badge), "metadata": json.loads(metadata.to_json()), "key": keys[-1]}
        sys.stdout.write(f"{json.dumps(told)}\n")
        sys.stdout.flush()
        left -= 1
        if not left:
            os._exit(0)

    BADGE_AWARDED.connect(show, weak=False)
    BADGE_REVOKED.connect(show, weak=False)
    FromTheBeginning(topic, f"lms-{prefix}").consume_indefinitely()
