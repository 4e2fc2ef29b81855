"""librdkafka's own mock cluster (its `rdkafka_mock.h`), for other processes to use.

Prints {"bootstrap": "127.0.0.1:..."} and stays until it is killed.  Each line on its standard input is an order, a list in
JSON, and is answered by {"done": ...} with the list:

- ["create", topic]
- ["delete", topic, partition, offset]: messages before that offset are gone, as retention has it
- ["down"], ["up"]: the brokers end all connections and take no more; they take them again
"""

import ctypes
import json
import sys
from pathlib import Path

import confluent_kafka

PARTITIONS = 4
BROKER = 1


def library() -> ctypes.CDLL:
    """The librdkafka that confluent_kafka has loaded, wherever it came from."""
    assert confluent_kafka.libversion()
    maps = Path("/proc/self/maps").read_text()
    return ctypes.CDLL(next(line.split()[-1] for line in maps.splitlines() if "/librdkafka" in line))


class Cluster:
    """One broker, and partitions that keep about 5 MB each.  A group is ready at once, not after three seconds."""

    def __init__(self) -> None:
        self._library = library()
        for name in ("rd_kafka_new", "rd_kafka_mock_cluster_new"):
            getattr(self._library, name).restype = ctypes.c_void_p
        self._library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
        self._mock = ctypes.c_void_p(self._library.rd_kafka_mock_cluster_new(self._client(), BROKER))
        self._call("group_initial_rebalance_delay_ms", 0)

    def _client(self) -> ctypes.c_void_p:
        reason = ctypes.create_string_buffer(512)
        client = self._library.rd_kafka_new(0, None, reason, ctypes.c_size_t(len(reason)))
        assert client, reason.value
        return ctypes.c_void_p(client)

    def _call(self, function: str, *arguments: object) -> None:
        error = getattr(self._library, f"rd_kafka_mock_{function}")(self._mock, *arguments)
        assert function == "group_initial_rebalance_delay_ms" or error == 0, f"{function}: error {error}"

    @property
    def bootstrap(self) -> str:
        return str(self._library.rd_kafka_mock_cluster_bootstraps(self._mock).decode())

    def obey(self, order: str, *arguments: object) -> None:
        match order, arguments:
            case "create", (str(topic),):
                self._call("topic_create", topic.encode(), PARTITIONS, 1)
            case "delete", (str(topic), int(partition), int(offset)):
                self._call("partition_delete_records", topic.encode(), partition, ctypes.c_int64(offset))
            case "down", ():
                self._call("broker_set_down", BROKER)
            case "up", ():
                self._call("broker_set_up", BROKER)
            case _:
                raise ValueError(order)


def say(content: object) -> None:
    sys.stdout.write(f"{json.dumps(content)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    cluster = Cluster()
    say({"bootstrap": cluster.bootstrap})
    for line in sys.stdin:
        order = json.loads(line)
        cluster.obey(*order)
        say({"done": order})
