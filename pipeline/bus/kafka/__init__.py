"""Kafka as the event bus.  Nothing here is imported unless `EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS` is set."""
