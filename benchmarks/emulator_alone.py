"""What the emulated Credly can serve by itself, called by as little of a client as possible.

Several connections issue one badge after the other with requests that were made beforehand.
"""

import asyncio
import json
import time
import uuid
from base64 import b64encode

from benchmarks.results import Result, spread
from benchmarks.session import Session, main
from benchmarks.stand import Stand

CONNECTIONS = 20
WANTED = 500


def measure(session: Session) -> Result:
    """Take it."""
    result = Result("emulator_alone", "The emulator alone", __doc__ or "")
    number = session.pick(4_000, 1_000)
    with session.stand("sqlite", {}) as stand:
        for run in session.track("The emulator alone", range(session.runs)):
            before = stand.cpu_seconds()["emulator"]
            seconds = asyncio.run(_issue(stand, number, run * number))
            result.note("badges per second", number / seconds)
            result.note("processor ms per badge", (stand.cpu_seconds()["emulator"] - before) / number * 1000)
        held = len(stand.credly("GET", "ledger")["badges"])
    if held != number * session.runs:
        raise RuntimeError(f"{held} badges at Credly, and not {number * session.runs}")
    table = result.table(f"{CONNECTIONS} connections", "", "")
    table.add("badges issued per second", spread(result.figures["badges per second"]))
    table.add("processor time per badge, ms", spread(result.figures["processor ms per badge"], 2))
    slowest = min(result.figures["badges per second"])
    result.target("the emulator alone, badges/s", f"{WANTED}", f"{slowest:,.0f} or more", slowest >= WANTED)
    return result


async def _issue(stand: Stand, number: int, first: int) -> float:
    requests = [_request(stand, first + each) for each in range(number)]
    shares = [requests[each::CONNECTIONS] for each in range(CONNECTIONS)]
    started = time.monotonic()
    await asyncio.gather(*(_send(stand, share) for share in shares))
    return time.monotonic() - started


async def _send(stand: Stand, requests: list[bytes]) -> None:
    host, _, port = stand.credly_url.removeprefix("http://").rstrip("/").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for request in requests:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 201"):
            raise RuntimeError(f"the emulator answers {head.splitlines()[0]!r}")
        length = next(line for line in head.splitlines() if line.lower().startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
    writer.close()


def _request(stand: Stand, learner: int) -> bytes:
    body = json.dumps(
        {
            "badge_template_id": str(stand.template(1)),
            "recipient_email": f"learner{learner}@example.org",
            "issued_to_first_name": "Learner",
            "issued_to_last_name": str(learner),
            "issued_at": "2026-05-01 12:00:00 +0000",
            "issuer_earner_id": str(uuid.uuid4()),
        }
    )
    head = [
        f"POST /v1/organizations/{stand.organization}/badges HTTP/1.1",
        "Host: credly",
        f"Authorization: Basic {b64encode(f'{stand.key}:'.encode()).decode()}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*head, "", body]).encode()


if __name__ == "__main__":
    main(measure)
