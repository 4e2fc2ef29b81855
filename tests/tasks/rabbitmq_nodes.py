"""A RabbitMQ as a broker node: one server for all tests of a process, and a virtual host for each of them."""

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kombu import Connection
from kombu.exceptions import OperationalError
from pytest_celery import RabbitMQContainer, RabbitMQTestBroker

from pipeline.embedded.rabbitmq import RabbitMQNotFound, RabbitMQServer
from tests.tasks.nodes import LocalContainer


@contextmanager
def running_rabbitmq(folder: Path, *configuration: str, plugins: Iterable[str] = ()) -> Iterator[RabbitMQServer]:
    """A server; where there is none the test skips.  `.ci/rabbitmq` gets one."""
    try:
        server = RabbitMQServer(folder, *configuration, plugins=plugins)
    except RabbitMQNotFound as error:
        pytest.skip(str(error))
    with server:
        yield server


class VirtualHost:
    """What a container must tell of its program."""

    def __init__(self, server: RabbitMQServer) -> None:
        self.server = server
        self.name = uuid.uuid4().hex[:12]

    @property
    def running(self) -> bool:
        return self.server.running

    def output(self) -> str:
        return self.server.output()

    def start(self) -> None:
        self.server.start()

    def stop(self) -> None:
        self.server.stop()

    def kill(self) -> None:
        self.server.kill()

    def freeze(self) -> None:
        self.server.freeze()

    def thaw(self) -> None:
        self.server.thaw()

    def add(self) -> None:
        """Make it, empty."""
        self.server.control("add_vhost", self.name)
        self.server.control("set_permissions", "-p", self.name, "guest", ".*", ".*", ".*")

    def remove(self) -> None:
        """End it and all connections to it."""
        self.server.control("delete_vhost", self.name)


class LocalRabbitMQContainer(RabbitMQContainer):
    """A broker node's container: a virtual host of the server."""

    @property
    def program(self) -> VirtualHost:
        program: VirtualHost = self._container.program
        return program

    @property
    def url(self) -> str:
        return self.program.server.url(self.program.name)

    @property
    def host_url(self) -> str:
        return self.url

    @property
    def port(self) -> int:
        return self.program.server.port


class RabbitMQNode(RabbitMQTestBroker):
    """The broker, as `nodes.BrokerNode`."""

    @property
    def server(self) -> VirtualHost:
        program: VirtualHost = self.container.program
        return program

    @property
    def url(self) -> str:
        url: str = self.container.url
        return url

    def waiting(self, queue: str) -> int:
        """Messages of a queue that no worker has taken."""
        with Connection(self.url) as connection:
            try:
                return int(connection.default_channel.queue_declare(queue, passive=True).message_count)
            except (*connection.channel_errors, OperationalError):
                return 0

    def taken(self) -> int:
        """Messages that a worker has taken and not acknowledged."""
        listed = self.server.server.control("list_queues", "-p", self.server.name, "messages_unacknowledged")
        return sum(int(line) for line in listed.split() if line.isdigit())

    def empty(self) -> None:
        """Forget everything: messages, queues, and who is connected."""
        self.server.remove()
        self.server.add()


@contextmanager
def rabbitmq_node(server: RabbitMQServer) -> Iterator[RabbitMQNode]:
    """A broker of the test's own."""
    host = VirtualHost(server)
    host.add()
    yield RabbitMQNode(LocalRabbitMQContainer(LocalContainer("broker", host)))
    if server.running:
        server.thaw()
    else:
        server.start()
    host.remove()
