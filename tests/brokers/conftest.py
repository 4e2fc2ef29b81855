"""Every Redis server that there is."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pipeline.embedded.redis import RedisServer, free_port
from tests.redis_kinds import kinds

HIGHEST_PORT_OF_CLUSTER = 55535

StartRedis = Callable[..., RedisServer]


@pytest.fixture(params=kinds())
def redis_executable(request: pytest.FixtureRequest) -> str:
    program: str = request.param
    return program


@pytest.fixture
def start_redis(redis_executable: str, tmp_path: Path) -> Iterator[StartRedis]:
    with ExitStack() as stack:

        def start_redis(*options: str) -> RedisServer:
            server = RedisServer(tmp_path / str(free_port()), *options, program=redis_executable)
            while server.port > HIGHEST_PORT_OF_CLUSTER:
                server.port = free_port()
            return stack.enter_context(server)

        yield start_redis
