"""RabbitMQ under Celery: what kombu's transport leaves out, so that a broker that takes nothing holds nobody up.

RabbitMQ that runs out of disk or memory stops to read from whoever publishes, for as long as that lasts, and says so
(https://www.rabbitmq.com/docs/connection-blocked).  kombu's transport passes that over, and waits for confirmations without
limit.
"""

import time
from contextlib import suppress
from typing import Any

import amqp
from amqp.exceptions import RecoverableConnectionError
from celery.worker.consumer import Consumer
from kombu.exceptions import KombuError
from kombu.transport import pyamqp

CONFIRM_SECONDS = 5.0
"""How long a message may take to be confirmed: it goes to the disks of most nodes of a cluster."""

PERSISTENT = 2
"""The delivery mode of messages that are to outlive the broker; what workers tell of themselves has another."""


class NotTaken(KombuError):
    """RabbitMQ did not take a message.  No connection error: those are tried again, by Celery's own messages without end."""


class Blocked(NotTaken):
    """It takes nothing over this connection for now, and will say when it does again: no reason to give the connection up."""

    def __init__(self) -> None:
        super().__init__("RabbitMQ is short of disk or memory")


class Channel(pyamqp.Channel):
    """Waits for no broker that is blocked, and for a confirmation only of what is persistent, and not for ever.

    RabbitMQ counts the messages of a channel and names the number of what it took.  The library's own channel passes that over:
    a late word about a message for which nobody waits any more would be taken for one about the next.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._confirm_selected: bool
        self._published = 0
        self._confirmed: bool | None = None
        """Whether the last message was taken or refused; None before RabbitMQ says so."""
        super().__init__(*args, **kwargs)

    def confirm_select(self, nowait: bool = False) -> Any:
        """As amqp's; RabbitMQ counts from here."""
        self._published = 0
        self.events["basic_ack"].add(self._on_taken)
        self.events["basic_nack"].add(self._on_refused)
        return super().confirm_select(nowait)

    def basic_publish_confirm(self, msg: amqp.Message, *args: Any, **kwargs: Any) -> Any:
        """Publish a message.

        Raises:
            Blocked: the broker takes nothing.
            NotTaken: it refused the message, or did not confirm it in time; then the connection is closed, which may be dead.
        """
        self._look_for_news()
        if self.connection.blocked:
            raise Blocked
        if msg.properties.get("delivery_mode") != PERSISTENT:
            return self._basic_publish(msg, *args, **kwargs)
        if not self._confirm_selected:
            self._confirm_selected = True
            self.confirm_select()
        done = self._basic_publish(msg, *args, **kwargs)
        self._wait_for_confirmation()
        return done

    def close(self, *args: Any, **kwargs: Any) -> Any:
        """As kombu's, but who is blocked would get no answer."""
        return self.collect() if self.connection and self.connection.blocked else super().close(*args, **kwargs)

    def _basic_publish(self, *args: Any, **kwargs: Any) -> Any:
        done = super()._basic_publish(*args, **kwargs)
        self._published += 1
        self._confirmed = None
        return done

    def _on_taken(self, number: int, _and_all_before: bool) -> None:
        if number == self._published:
            self._confirmed = True

    def _on_refused(self, number: int, _and_all_before: bool) -> None:
        if number == self._published:
            self._confirmed = False

    def _wait_for_confirmation(self) -> None:
        deadline = time.monotonic() + CONFIRM_SECONDS
        connection = self.connection
        try:
            while self._confirmed is None:
                self._expect_connection().drain_events(timeout=max(0, deadline - time.monotonic()))
        except TimeoutError:
            connection.collect()
            raise NotTaken("RabbitMQ did not confirm a message") from None
        if not self._confirmed:
            raise NotTaken("RabbitMQ refused a message")

    def _look_for_news(self) -> None:
        """Take in all that was said meanwhile; whether the connection is blocked, the last word decides."""
        with suppress(TimeoutError):
            while connection := self._expect_connection():
                with suppress(Blocked):
                    connection.drain_events(timeout=0)

    def _expect_connection(self) -> Any:
        if not self.connection:
            raise RecoverableConnectionError("the connection is closed")
        return self.connection


class Connection(pyamqp.Connection):
    """Knows whether it is blocked."""

    Channel = Channel

    def __init__(self, **options: Any) -> None:
        self.blocked = False
        super().__init__(**options, on_blocked=self._block, on_unblocked=self._unblock)

    def close(self, *args: Any, **kwargs: Any) -> Any:
        """As kombu's, but who is blocked would get no answer."""
        return self.collect() if self.blocked else super().close(*args, **kwargs)

    def _block(self, _reason: str) -> None:
        """Whoever waits for a confirmation waits no longer."""
        self.blocked = True
        raise Blocked

    def _unblock(self) -> None:
        self.blocked = False


pyamqp.Transport.Connection = Connection

# Nothing here is sent to be run later, and this would declare 28 queues for it.
Consumer.Blueprint.default_steps.remove("celery.worker.consumer.delayed_delivery:DelayedDelivery")
