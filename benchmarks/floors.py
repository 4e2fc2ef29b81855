"""The least that a part can cost, each as a process in the stand's environment: `python -m benchmarks.floors WHAT`.

- `read`: read batches from the bus and acknowledge them, nothing decoded.
- `decode`: the same, with each message decoded as our consumer does.
- `stock`: the same, decoded with Open edX's own functions, as its consumer does.
- `insert`: decoded as ours, and each batch put into a table by one statement of the bare database driver, in one commit.
- `commits N`: that many one-row updates, each committed; prints the seconds of each as JSON.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from django.db import connection
from edx_event_bus_redis.internal.message import RedisMessage
from openedx_events.event_bus.avro.deserializer import deserialize_bytes_to_event_data

from pipeline.bus.catalogue import find_signal
from pipeline.bus.codec import DecodedMessage, decode
from pipeline.bus.connection import connect
from pipeline.bus.streams import Entry
from pipeline.embedded.system import TOPIC
from pipeline.stages.consume import BATCH


def group(what: str) -> str:
    """The consumer group of a floor."""
    return f"floor-{what}"


def nothing(entries: list[Entry]) -> None:
    """What `read` does with a batch."""


def decoded(entries: list[Entry]) -> list[DecodedMessage]:
    """What `decode` does with a batch."""
    messages = [decode(entry_id, fields, stream=TOPIC) for entry_id, fields in entries]
    return [message for message in messages if isinstance(message, DecodedMessage)]


def stock(entries: list[Entry]) -> None:
    """What `stock` does with a batch."""
    for entry_id, fields in entries:
        message = RedisMessage.parse((entry_id, fields), topic=TOPIC)
        deserialize_bytes_to_event_data(message.event_data, find_signal(message.event_metadata.event_type))


def insert(entries: list[Entry]) -> None:
    """What `insert` does with a batch."""
    rows = [
        value
        for message in decoded(entries)
        for value in (str(message.id), message.type, message.time.isoformat(), json.dumps(message.payload))
    ]
    places = ",".join(["(%s,%s,%s,%s)"] * (len(rows) // 4))
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO bench_inbox VALUES {places} ON CONFLICT DO NOTHING", rows)


FLOORS: dict[str, Callable[[list[Entry]], Any]] = {"read": nothing, "decode": decoded, "stock": stock, "insert": insert}


def consume(what: str) -> None:
    """Read, do it, acknowledge, for ever."""
    if what == "insert":
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE bench_inbox (id char(36) PRIMARY KEY, type text, time text, payload text)")
    bus = connect()
    bus.xgroup_create(TOPIC, group(what), id="0", mkstream=True)
    sys.stderr.write("reads\n")
    work = FLOORS[what]
    while True:
        answer: Any = bus.xreadgroup(group(what), "floor", {TOPIC: b">"}, count=BATCH, block=2000)
        if answer:
            entries = answer[0][1]
            work(entries)
            bus.xack(TOPIC, group(what), *[entry_id for entry_id, _ in entries])


def commits(number: int) -> list[float]:
    """Seconds of each of so many commits of one changed row."""
    seconds = []
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS bench_commits (id integer PRIMARY KEY, number integer)")
        cursor.execute("INSERT INTO bench_commits VALUES (1, 0) ON CONFLICT DO NOTHING")
        for each in range(number):
            started = time.perf_counter()
            cursor.execute("UPDATE bench_commits SET number = %s WHERE id = 1", [each])
            seconds.append(time.perf_counter() - started)
    return seconds


if __name__ == "__main__":
    if sys.argv[1] == "commits":
        print(json.dumps(commits(int(sys.argv[2]))))
    else:
        consume(sys.argv[1])
