"""A peer that issued badges at the emulated Credly, and the pipeline that takes its place."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from pipeline import stages
from pipeline.ledgers.holdings import Done
from pipeline.lms.events import LmsLearner
from pipeline.models import Badge
from tests.credly.emulated_credly import Academy, EmulatedCredly
from tests.ledgers.builders import make_due
from tests.stages.conftest import call_credly_at
from tests.switching.peers import PeerDump


@pytest.fixture
def dump() -> PeerDump:
    return PeerDump()


@dataclass
class OldSite:
    """A peer's site: an organization at Credly with the usual template, and the dump that it will make."""

    emulator: EmulatedCredly
    academy: Academy
    dump: PeerDump
    template: tuple[int, int]
    dana: LmsLearner
    issued_by_peer: int = 0

    def issued(self, **fields: Any) -> UUID:
        """A badge that the peer issued to Dana at Credly, as it does: without an earner id, the username as names."""
        given = {
            "recipient_email": self.dana.email,
            "issued_to_first_name": self.dana.username,
            "issued_to_last_name": self.dana.username,
            "issuer_earner_id": None,
        }
        self.issued_by_peer += 1
        return UUID(self.academy.issued(**given | fields)["id"])

    def at_credly(self) -> list[tuple[str, str]]:
        """Id and state of all badges at Credly."""
        rows = self.emulator.ledger(organization=self.academy.organization)
        return [(row["id"], row["state"]) for row in rows]

    def calls_to_issue(self) -> int:
        """How often we asked Credly to issue: all calls but the peer's."""
        calls = self.emulator.requests(method="POST", path="/badges$", organization=self.academy.organization)
        return len(calls) - self.issued_by_peer


@pytest.fixture
def site(request: pytest.FixtureRequest, db: None, emulator: EmulatedCredly, dump: PeerDump, settings: Any) -> OldSite:
    """Its template allows duplicates, unless a test says otherwise: nothing but our own care keeps a second badge away."""
    call_credly_at(f"{emulator.api}/", settings)
    academy = emulator.academy({"allow_duplicate_badges": getattr(request, "param", True)})
    owner = dump.organization(uuid=academy.organization, api_key=academy.key)
    template = dump.course_template(owner, uuid=academy.template)
    dana = LmsLearner(4711, "dana", "dana@learners.example", "Dana Moe")
    return OldSite(emulator, academy, dump, template, dana)


def work_off() -> list[Done]:
    """Let the time pass and issue what is due, until nothing is."""
    done = []
    for _ in range(10):
        due = stages.due().badges
        if not due:
            return done
        done += [stages.issue(pk) for pk in due]
        make_due(*Badge.objects.filter(due_at__isnull=False))
    raise AssertionError("There is always something due.")
