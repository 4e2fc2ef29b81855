"""Our consumer in a process that tests may strike: with short waits, and an end by SIGKILL where the first argument says.

The second argument is its group.

`well`: it lives.  `stored`: it dies when a batch is stored and not acknowledged.  `acknowledged-first`, the control: the
order is turned round, and it dies in between.  `brokers-hang`: before it acknowledges it stops the brokers' process,
which the third argument names.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from django.core.management import execute_from_command_line

from tests.bus.kafka.conftest import TOPIC
from tests.system.conditions import eventually


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def acknowledge_first(_consumer: Any, entries: Any, reader: Any) -> None:
    if entries:
        reader.acknowledge([entry_id for entry_id, _ in entries])
        die()


def hang_brokers_before(acknowledge: Any) -> Any:
    def after(*arguments: Any) -> None:
        os.kill(int(sys.argv[3]), signal.SIGSTOP)
        eventually(lambda: threads_hang(sys.argv[3]))
        acknowledge(*arguments)

    return after


def threads_hang(process: str) -> bool:
    states = [
        status.read_text().rpartition(")")[2].split()[0] for status in Path(f"/proc/{process}/task").glob("*/stat")
    ]
    return set(states) == {"T"}


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pipeline.settings")
    import django

    django.setup()
    from pipeline.bus.kafka import reader
    from pipeline.stages.consume import StoringConsumer
    from tests.bus.kafka.pace import be_quick

    be_quick(setattr)
    if sys.argv[1] == "stored":
        reader.TopicReader.acknowledge = die  # type: ignore[method-assign]
    if sys.argv[1] == "acknowledged-first":
        StoringConsumer._take = acknowledge_first  # type: ignore[method-assign]
    if sys.argv[1] == "brokers-hang":
        reader.TopicReader.acknowledge = hang_brokers_before(reader.TopicReader.acknowledge)  # type: ignore[method-assign]
    execute_from_command_line(["manage.py", "consume_events", "-t", TOPIC, "-g", sys.argv[2]])
