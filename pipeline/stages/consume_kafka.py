"""consume, from Kafka."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pipeline.bus.kafka.codec import decode
from pipeline.bus.kafka.reader import TopicReader
from pipeline.ledgers import gaps, groups, inbox
from pipeline.stages.consume import StoringConsumer, refuse


class KafkaInboxConsumer(StoringConsumer[TopicReader]):
    """The consumer for `EVENT_BUS_CONSUMER` where the bus is Kafka.

    Takes the stock consumer's argument `offset_time` (ISO 8601 with its zone: the group goes on with the messages of that
    time), and `consumer_name`, for our log.  librdkafka fetches ahead by itself, so nothing is read ahead here.
    """

    def __init__(
        self,
        topic: str,
        group_id: str,
        consumer_name: str | None = None,
        offset_time: str | None = None,
        **unknown: Any,
    ) -> None:
        super().__init__(topic, group_id, consumer_name, unknown)
        self.offset_time = offset_time

    def _check_arguments(self) -> None:
        self._refuse_unknown("consumer_name", "offset_time")
        self._since()

    def _open(self) -> TopicReader:
        return TopicReader(
            self.topic,
            self.group_id,
            on_gap=lambda gap: gaps.record(gap, self.topic),
            is_known=lambda: groups.is_known(self.topic, self.group_id),
            on_forgotten=lambda: gaps.forgotten(self.topic, self.group_id),
            on_begun=lambda: groups.remember(self.topic, self.group_id),
            since=self._since(),
        )

    def _decode(self, entry_id: bytes, fields: Mapping[bytes, bytes], stream: str) -> inbox.Message:
        return decode(entry_id, fields, stream=stream)

    def _since(self) -> datetime | None:
        if self.offset_time is None:
            return None
        try:
            since = datetime.fromisoformat(str(self.offset_time))
        except ValueError:
            since = None
        if since is None or since.tzinfo is None:
            refuse(
                f"--extra: offset_time: {self.offset_time!r} is not allowed; it must be a time with its zone such as "
                '"2026-11-01T00:00:00+00:00"'
            )
        return since
