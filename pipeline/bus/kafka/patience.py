"""A limit to calls of librdkafka that have none: while a broker hangs, a commit waits without end."""

from collections.abc import Callable
from threading import Thread
from typing import TypeVar

from pipeline.bus.unavailable import BusUnavailable

T = TypeVar("T")


def within(seconds: float, call: Callable[[], T]) -> T:
    """What the call returns, or raises.

    Raises:
        BusUnavailable: it took longer; it goes on in its thread, and what it does may still happen.
    """
    returned: list[T] = []
    raised: list[Exception] = []

    def run() -> None:
        try:
            returned.append(call())
        except Exception as error:  # noqa: BLE001 - raised below
            raised.append(error)

    # A daemon, so that the process can end meanwhile.
    calling = Thread(target=run, name="kafka", daemon=True)
    calling.start()
    calling.join(seconds)
    if raised:
        raise raised[0]
    if not returned:
        raise BusUnavailable(f"Kafka did not answer within {seconds:.0f} s.")
    return returned[0]
