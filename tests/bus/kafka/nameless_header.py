"""A message with a header whose name is no text: Kafka takes it from other producers, Python's does not write it."""

import ctypes

from tests.bus.kafka.mock_cluster import library

PRODUCER = 0
TOPIC, PARTITION, VALUE, MSGFLAGS, HEADER, END = 1, 3, 4, 7, 9, 0
"""`rd_kafka_vtype_t` of librdkafka's `rdkafka.h`."""
COPY = 2
NAME = b"\xff\xfe"


def produce(bootstrap: str, topic: str, value: bytes, *, partition: int) -> None:
    """Put one on this partition, and wait until the brokers have it."""
    rdkafka = library()
    rdkafka.rd_kafka_conf_new.restype = ctypes.c_void_p
    rdkafka.rd_kafka_new.restype = ctypes.c_void_p
    reason = ctypes.create_string_buffer(512)
    configuration = ctypes.c_void_p(rdkafka.rd_kafka_conf_new())
    assert not rdkafka.rd_kafka_conf_set(configuration, b"bootstrap.servers", bootstrap.encode(), None, 0)
    client = ctypes.c_void_p(rdkafka.rd_kafka_new(PRODUCER, configuration, reason, ctypes.c_size_t(len(reason))))
    assert client, reason.value
    error = rdkafka.rd_kafka_producev(
        client,
        *(TOPIC, topic.encode()),
        *(PARTITION, ctypes.c_int32(partition)),
        *(VALUE, value, ctypes.c_size_t(len(value))),
        *(HEADER, NAME, b"", ctypes.c_ssize_t(0)),
        *(MSGFLAGS, COPY),
        END,
    )
    assert not error
    assert not rdkafka.rd_kafka_flush(client, 30_000)
    rdkafka.rd_kafka_destroy(client)
