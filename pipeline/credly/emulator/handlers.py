"""Where HTTP meets the emulator: one handler for ``/v1``, one for control, one for the page."""

import asyncio
import json
import logging
import socket
import struct
from http.client import responses
from types import TracebackType
from typing import Any

from tornado.iostream import IOStream, StreamClosedError
from tornado.web import HTTPError, RequestHandler

from pipeline.credly.emulator import api, control, page
from pipeline.credly.emulator.call import Answer, Call
from pipeline.credly.emulator.errors import RefusalError
from pipeline.credly.emulator.faults import Fault
from pipeline.credly.emulator.journal import Entry
from pipeline.credly.emulator.world import World

log = logging.getLogger(__name__)

NO_FAULT = Fault("none", when="after")


class Handler(RequestHandler):
    """A handler with the world at hand."""

    def initialize(self, world: World) -> None:
        """Take the world that the application was made with."""
        self.world = world

    def log_exception(self, typ: Any, value: BaseException | None, tb: TracebackType | None) -> None:
        """Log a fault of our own without the query, which may hold addresses."""
        if not isinstance(value, HTTPError):
            exception = value and (type(value), value, tb)
            log.error("%s %s failed", self.request.method, self.request.path, exc_info=exception)

    def arguments_by_name(self) -> dict[str, list[str]]:
        """The decoded query parameters."""
        given = self.request.query_arguments
        return {name: [value.decode(errors="replace") for value in values] for name, values in given.items()}


class ApiHandler(Handler):
    """Everything under ``/v1``, and what faults make of it."""

    async def serve(self, path: str) -> None:
        """Log the call, let the effect take place as the fault allows, answer as it demands."""
        call = self._call(path)
        entry = self._note(call)
        if self.world.latency:
            await asyncio.sleep(self.world.latency)
        fault = self.world.faults.take(entry)
        entry.fault = fault.name if fault else None
        answer = await self._act(call, entry, fault or NO_FAULT)
        await self._send(answer, entry, fault or NO_FAULT)

    get = post = put = delete = patch = serve

    def _call(self, path: str) -> Call:
        request = self.request
        return Call(
            state=self.world.state,
            method=request.method or "",
            path="/" + path.strip("/"),
            origin=f"{request.protocol}://{request.host}",
            arguments=self.arguments_by_name(),
            authorization=request.headers.get("Authorization", ""),
            content_type=request.headers.get("Content-Type", ""),
            raw=request.body,
        )

    def _note(self, call: Call) -> Entry:
        parts = call.path.split("/")
        entry = self.world.journal.open(
            time=self.world.state.now(),
            method=call.method,
            path=call.path,
            organization=parts[2] if len(parts) > 2 and parts[1] == "organizations" else None,
        )
        if call.method == "POST" and parts[3:] == ["badges"]:
            entry.template, entry.issuer_earner_id = _issued(call)
        return entry

    async def _act(self, call: Call, entry: Entry, fault: Fault) -> Answer:
        pause = 0.0 if fault.ending == "drip" else fault.delay
        if pause and fault.when == "before":
            await asyncio.sleep(pause)
        answer = self._effect(call, entry) if fault.spares_effect else Answer(500, "")
        if pause and fault.when == "after":
            await asyncio.sleep(pause)
        return fault.answer() or answer

    def _effect(self, call: Call, entry: Entry) -> Answer:
        wait = self.world.over_limit(entry)
        if wait is None:
            return api.answer(call)
        return Answer(429, RefusalError(429, "Too Many Requests").body(), {"Retry-After": str(wait)})

    async def _send(self, answer: Answer, entry: Entry, fault: Fault) -> None:
        body = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
        if fault.ending in ("answer", "cut"):
            entry.status = answer.status
            self.set_status(answer.status)
            self.set_header("Content-Type", "application/json; charset=utf-8")
            for name, value in answer.headers.items():
                self.set_header(name, value)
            if answer.status == 204:
                self.clear_header("Content-Type")
                return
            self.write(body[: len(body) // 2] if fault.ending == "cut" else body)
            return
        stream: IOStream = self.detach()
        try:
            await _send_raw(stream, answer, body.encode(), entry, fault)
        except StreamClosedError:
            pass
        finally:
            stream.close()


async def _send_raw(stream: IOStream, answer: Answer, body: bytes, entry: Entry, fault: Fault) -> None:
    """Write to the bare connection what no well-behaved server would."""
    if fault.ending == "reset":
        # Closing a socket whose linger time is zero sends RST instead of FIN.
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif fault.ending in ("drip", "truncate"):
        entry.status = answer.status
        await stream.write(_head(answer, len(body)))
        if fault.ending == "truncate":
            await stream.write(body[: len(body) // 2])
            return
        for position in range(len(body)):
            await stream.write(body[position : position + 1])
            await asyncio.sleep(fault.delay)


def _head(answer: Answer, length: int) -> bytes:
    lines = {"Content-Type": "application/json; charset=utf-8"} | answer.headers
    lines |= {"Content-Length": str(length), "Connection": "close"}
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {answer.status} {responses.get(answer.status, 'Unknown')}\r\n{text}\r\n".encode()


def _issued(call: Call) -> tuple[str | None, str | None]:
    """Template and earner of an issue call, as far as its body can be read."""
    try:
        body = api.read_body(call)
    except RefusalError:
        return None, None
    values = (body.get("badge_template_id"), body.get("issuer_earner_id"))
    template, earner = (None if value is None else str(value) for value in values)
    return template, earner


class ControlHandler(Handler):
    """Everything under ``/control``."""

    def serve(self, path: str) -> None:
        """Answer a control call with JSON."""
        arguments = {name: values[-1] for name, values in self.arguments_by_name().items()}
        method = self.request.method or ""
        status, body = control.answer(self.world, method, path, arguments, self.request.body)
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.write(json.dumps(body))

    get = post = put = delete = patch = serve


class PageHandler(Handler):
    """The page at ``/``."""

    def get(self) -> None:
        """Show what the emulator holds."""
        self.write(page.render(self.world))
