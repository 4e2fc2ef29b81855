"""Messages that the bus no longer had, or was told to pass over, before a consumer group had read them."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Gap:
    """Messages that a group has not handled and is not given any more: those from one position to another.

    ``count`` is their number, None where the bus can't tell it (Redis before 7; a topic of Kafka that was made anew).
    None of them was added before ``first_time`` nor after ``last_time``, as far as the bus can tell.
    """

    stream: str
    group: str
    since: str
    until: str
    count: int | None
    first_time: datetime | None = None
    last_time: datetime | None = None

    def __str__(self) -> str:
        number = "an unknown number of" if self.count is None else str(self.count)
        times = {"from": self.first_time, "until": self.last_time}
        told = " ".join(f"{word} {time:%Y-%m-%d %H:%M:%S} UTC" for word, time in times.items() if time)
        return (
            f"{number} messages of {self.stream} between {self.since} and {self.until} ({told or 'times unknown'}) "
            f"were removed or passed over before group {self.group} had handled them"
        )
