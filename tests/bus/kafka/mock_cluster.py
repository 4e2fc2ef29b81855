"""librdkafka's own mock cluster, for other processes to use.

Prints {"bootstrap": "127.0.0.1:..."} and stays until it is killed.  Each line on its standard input is a topic to create.  A
partition keeps about 5 MB: the oldest messages then go, as retention has it.
"""

import json
import sys

from confluent_kafka import Producer


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    host = Producer({"test.mock.num.brokers": 1, "log_level": 3, "allow.auto.create.topics": True})
    brokers = host.list_topics(timeout=10).brokers.values()
    say(json.dumps({"bootstrap": ",".join(f"{broker.host}:{broker.port}" for broker in brokers)}))
    for line in sys.stdin:
        host.list_topics(line.strip(), timeout=10)  # asking for it creates it, with 4 partitions
        say(json.dumps({"created": line.strip()}))
