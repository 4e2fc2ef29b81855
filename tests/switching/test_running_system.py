"""The switch on a running system: the reference dump, real processes, real events, and what Credly holds in the end.

The templates allow duplicates at Credly, and no sync has told so: nothing but what was imported keeps a second badge away.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from pipeline.embedded.system import System
from pipeline.lms.events import LmsEvent, LmsLearner, passing_event
from tests.databases import server_of_run
from tests.switching.peers import REFERENCE
from tests.system.conditions import eventually

pytestmark = pytest.mark.system

EXAMPLE, FROM_SETTINGS = "7d1b0f5e-2a44-4c0f-8e0c-5b1d8f6c9a02", "11111111-2222-4333-8444-555555555555"
KEYS = {EXAMPLE: "example-key-one", FROM_SETTINGS: "key-of-the-settings"}
INTRO, TWO = "3b0f2c6a-1a6e-4f29-8d53-7f0c3a5f9e21", "4b0f2c6a-1a6e-4f29-8d53-7f0c3a5f9e22"
DEMO, OTHER = "course-v1:OpenedX+DemoX+Demo_Course", "course-v1:OpenedX+OtherX+2026"
DANAS_UUID = "83985433-77b0-43da-91f9-b3119c3efde9"
AWARDED, REVOKED = "org.openedx.learning.badge.awarded.v1", "org.openedx.learning.badge.revoked.v1"


def learner(number: int, username: str) -> LmsLearner:
    return LmsLearner(number, username, f"{username}@learners.example", "")


DANA, ELI, FAY, LEA = learner(4711, "dana"), learner(4712, "eli"), learner(4713, "fay"), learner(4719, "lea")
GUS, HAL, JON, KIM = learner(4714, "gus"), learner(4715, "hal"), learner(4717, "jon"), learner(4718, "kim")
NIA = learner(4721, "nia")
"""Holds a badge at Credly of which the dump knows nothing."""


@dataclass
class Site:
    """A system that took over from the peer."""

    system: System
    danas_id: str

    def play(self, *events: LmsEvent) -> None:
        """Have the LMS publish events, and wait until nothing is left to do."""
        file = self.system.folder / "events.jsonl"
        lines = [
            {"id": str(event.id), "time": event.time.isoformat(), "type": event.type, "payload": event.payload}
            for event in events
        ]
        file.write_text("\n".join(map(json.dumps, lines)))
        self.system.manage("produce_events", "--file", str(file))
        self.system.wait_until_idle()

    def held(self, who: LmsLearner, template: str) -> list[str]:
        """The states of a learner's badges at Credly."""
        rows = self.system.credly("GET", f"ledger?template={template}&recipient_email={who.email}")["badges"]
        return [row["state"] for row in rows]

    def issued_by_us(self) -> list[str]:
        """LMS user ids of our calls to issue; the peer gives Credly none."""
        calls = self.system.credly("GET", "requests?method=POST")["requests"]
        return sorted(call["issuer_earner_id"] for call in calls if call["issuer_earner_id"])

    def revocations(self) -> list[str]:
        """Ids of the badges that Credly was told to revoke, by whomever."""
        calls = self.system.credly("GET", "requests?method=PUT&path=/revoke$")["requests"]
        return [call["path"].split("/")[-2] for call in calls]

    def signals(self) -> list[tuple[str, int]]:
        return sorted((row["type"], row["learner"]) for row in self.system.received_signals())


def passes(who: LmsLearner, course: str) -> LmsEvent:
    return passing_event(who, course, True, datetime.now(UTC))


def fails(who: LmsLearner, course: str) -> LmsEvent:
    return passing_event(who, course, False, datetime.now(UTC))


def issue(system: System, template: str, who: LmsLearner) -> str:
    """A badge that the peer issued, as it does: without an earner id, the username as names.  Its id at Credly."""
    form = {
        "recipient_email": who.email,
        "issued_to_first_name": who.username,
        "issued_to_last_name": who.username,
        "badge_template_id": template,
        "issued_at": "2026-05-01 12:00:00 +0000",
    }
    answer = call(system, "POST", "badges", form)
    return str(answer["data"]["id"])


def call(system: System, method: str, path: str, content: Any) -> Any:
    url = f"{system.credly_url}v1/organizations/{EXAMPLE}/{path}"
    answer = requests.request(method, url, json=content, auth=(KEYS[EXAMPLE], ""), timeout=30)
    answer.raise_for_status()
    return answer.json()


def furnish_credly(system: System, records: list[dict[str, Any]]) -> None:
    """Credly as the peer of the dump left it; the dump gets the ids that the emulator gave."""
    rows = {model: {} for model in (row["model"] for row in records)}
    for row in records:
        rows[row["model"]][row["pk"]] = row["fields"]
    for uuid, key in KEYS.items():
        system.credly("POST", "organizations", {"id": uuid, "name": "Academy", "tokens": [{"token": key}]})
    templates = {pk: rows["badges.badgetemplate"][pk]["uuid"] for pk in rows["badges.credlybadgetemplate"]}
    for pk, owner in rows["badges.credlybadgetemplate"].items():
        organization = rows["badges.credlyorganization"][owner["organization"]]["uuid"]
        form = {"id": templates[pk], "organization": organization, "name": "Badge", "allow_duplicate_badges": True}
        system.credly("POST", "templates", form)
    people = {who.username: who for who in (DANA, ELI, FAY, HAL, LEA, learner(4716, "ida"))}
    for pk, badge in rows["badges.credlybadge"].items():
        held = rows["credentials.usercredential"][pk]
        if badge["external_uuid"]:
            badge["external_uuid"] = issue(system, templates[held["credential_id"]], people[held["username"]])
            if badge["state"] in ("accepted", "rejected"):
                system.credly("POST", f"badges/{badge['external_uuid']}/{badge['state'].removesuffix('ed')}", {})
            if badge["state"] == "revoked":
                call(system, "PUT", f"badges/{badge['external_uuid']}/revoke", {"reason": "No"})
    # Of these the peer never got the answer.
    issue(system, INTRO, HAL)
    issue(system, TWO, FAY)
    issue(system, INTRO, NIA)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """All has been taken over, before the first event and with badges switched off, and what was due is done."""
    records = json.loads(REFERENCE.read_text())
    records += [
        {"model": "badges.badgeprogress", "pk": 13, "fields": {"username": "kim", "template": 2}},
        {"model": "badges.fulfillment", "pk": 12, "fields": {"progress": 13, "requirement": 2, "blend": "A"}},
    ]
    settings = {"CREDLY_ORGANIZATIONS": json.dumps({FROM_SETTINGS: KEYS[FROM_SETTINGS]})}
    folder = tmp_path / "system"
    with System(folder, environment=settings, database=server_of_run(folder / "database")) as system:
        furnish_credly(system, records)
        dump = tmp_path / "credentials.json"
        dump.write_text(json.dumps(records))
        printed = system.manage("import_openedx_credentials", str(dump), BADGES_ENABLED="false")
        assert "8 learners, 8 progress records, 9 fulfillments, 7 badges." in printed
        system.wait_until_idle()
        badges = {row["pk"]: row["fields"] for row in records if row["model"] == "badges.credlybadge"}
        yield Site(system, badges[1]["external_uuid"])


def test_nothing_is_issued_again_and_what_comes_later_counts(site: Site):
    # What the import found in doubt Credly was asked: one it held, one it lacked, one it held and should not.
    assert site.issued_by_us() == [str(GUS.id)]
    assert (site.held(HAL, INTRO), site.held(GUS, INTRO), site.held(FAY, TWO)) == (
        ["pending"],
        ["pending"],
        ["revoked"],
    )

    site.play(*(passes(who, DEMO) for who in (DANA, ELI, FAY, GUS, HAL)), passes(LEA, OTHER))
    assert site.issued_by_us() == [str(GUS.id)], "none of them is issued again"

    site.play(passes(KIM, OTHER), passes(JON, OTHER))
    assert site.issued_by_us() == [str(who.id) for who in (GUS, JON, KIM)], "half-way and complete progress goes on"
    assert (site.held(KIM, TWO), site.held(JON, TWO)) == (["pending"], ["pending"])

    before = site.revocations()
    site.play(fails(DANA, DEMO))
    assert site.revocations() == [*before, site.danas_id], "by the id that the peer knew"
    assert site.held(DANA, INTRO) == ["revoked"]
    site.play(passes(DANA, DEMO))
    assert site.issued_by_us() == [str(who.id) for who in (GUS, JON, KIM)]

    assert site.held(ELI, INTRO) == ["pending"]
    assert site.held(LEA, TWO) == ["rejected"]
    told = [(AWARDED, who.id) for who in (FAY, GUS, HAL, JON, KIM)] + [(REVOKED, DANA.id), (REVOKED, FAY.id)]
    assert eventually(lambda: len(site.signals()) == len(told) and site.signals()) == told
    revoked = {row["learner"]: row["badge"] for row in site.system.received_signals() if row["type"] == REVOKED}
    assert revoked[DANA.id] == DANAS_UUID, "as the peer called it"

    # The control: of a badge that the dump lacks a second one is issued.
    site.play(passes(NIA, DEMO))
    assert site.held(NIA, INTRO) == ["pending", "pending"]
