"""Messages that Kafka removed before a consumer group had read them."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Gap:
    """Messages of one partition that are gone: those after one position, up to the first that is still there.

    ``count`` is their number, None if Kafka can't tell: the topic was made anew, and its offsets began again.
    ``last_time`` is when the first remaining message was added; Kafka can't tell ``first_time``.
    """

    stream: str
    group: str
    since: str
    until: str
    count: int | None
    last_time: datetime | None
    first_time: datetime | None = None

    def __str__(self) -> str:
        number = "an unknown number of" if self.count is None else str(self.count)
        until = f" (until {self.last_time:%Y-%m-%d %H:%M:%S} UTC)" if self.last_time else ""
        return (
            f"{number} messages of topic {self.stream} between {self.since} and {self.until}{until} "
            f"were removed before group {self.group} had handled them"
        )
