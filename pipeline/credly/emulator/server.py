"""The emulator as a running server."""

import asyncio
import signal
import socket
from collections.abc import Callable
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from pipeline.credly.emulator.handlers import ApiHandler, ControlHandler, PageHandler
from pipeline.credly.emulator.world import EMPTY_SEED, World


def application(world: World) -> Application:
    """The paths of the emulator. It logs nothing by itself: the journal does, without secrets."""
    arguments = {"world": world}
    return Application(
        [
            (r"/(?:api/)?v1/(.*)", ApiHandler, arguments),
            (r"/control/(.*)", ControlHandler, arguments),
            (r"/", PageHandler, arguments),
        ],
        log_function=_be_silent,
    )


def run(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    latency: float = 0.0,
    seed: dict[str, Any] = EMPTY_SEED,
    ready: Callable[[str], None] = lambda base_url: None,
) -> None:
    """Serve until SIGTERM or SIGINT.

    ``port`` 0 takes a free one, ``latency`` is seconds a call, ``seed`` what the emulator begins with
    (see ``seeding.plant``); ``ready`` is called once with ``http://host:port``. Raises OSError when the
    port is taken, SpecificationError for a bad seed.
    """
    asyncio.run(_serve(host, port, latency, seed, ready))


async def _serve(host: str, port: int, latency: float, seed: dict[str, Any], ready: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    sockets = bind_sockets(port, host, family=socket.AF_UNSPEC, backlog=1024)
    base_url = f"http://{f'[{host}]' if ':' in host else host}:{sockets[0].getsockname()[1]}"
    server = HTTPServer(application(World(base_url, latency=latency, seed=seed)))
    server.add_sockets(sockets)
    ready(base_url)
    await stop.wait()
    server.stop()


def _be_silent(handler: RequestHandler) -> None:
    """Take the place of Tornado's access log, which would show addresses in query strings."""
