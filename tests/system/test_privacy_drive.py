"""Distinctive names, addresses and keys are driven through everything, also through all that fails, and searched for.

Nothing that people on call, or strangers, get to see may hold one: logs, the broker, Flower, metrics, pages of errors.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import requests
from redis import Redis

from pipeline.credly.emulator.faults import PRESETS
from pipeline.embedded.postgres import PostgresServer
from pipeline.embedded.system import TOPIC, System
from pipeline.lms.events import LmsLearner
from tests.system.academy import Academy, requirement
from tests.system.conditions import eventually
from tests.tasks.test_only_ids_travel import BROKER, BUS, overheard

COURSE = "course-v1:Drive+Privacy+2026"
OURS = ("web", "consumer", "worker", "credly", "beat", "flower")
SECRET_KEY = "zyq-django-key-" + "k" * 40
WEBHOOK_SECRET = "zyq-webhook-secret"
PASSWORD = "zyq-password-of-staff"
WRONG_KEY = "zyq-wrong-key-of-credly"
CLOSING = ("401", "403", "429", "429-bare")
MARK = re.compile(r"zyq", re.IGNORECASE)
"""In every name, address and key of this drive, and nowhere else."""

REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'no room for %', NEW
    USING ERRCODE = 'disk_full', DETAIL = 'Failing row belongs to ' || (SELECT string_agg(email, ', ') FROM pipeline_learner);
END $$
"""
REFUSED_OF = {
    "pipeline_event": "INSERT",
    "pipeline_learner": "INSERT OR UPDATE",
    "pipeline_badge": "UPDATE",
    "pipeline_signal": "UPDATE",
    "pipeline_webhook": "UPDATE",
}


class Drive(System):
    """A system that logs all it can, whose bus is another database than the broker, and whose database quotes rows.

    PostgreSQL does so wherever it refuses one; SQLite never does.
    """

    def __init__(self, folder: Path) -> None:
        self.postgres = PostgresServer(folder / "postgres")
        super().__init__(folder, processes=OURS, lms=False, database=self.postgres)

    @property
    def environment(self) -> dict[str, str]:
        bus = f"redis://127.0.0.1:{self.redis.port}/{BUS}"
        given = {"EVENT_BUS_REDIS_CONNECTION_URL": bus, "SECRET_KEY": SECRET_KEY, "LOG_LEVEL": "DEBUG"}
        return {**super().environment, **given, "CREDLY_WEBHOOK_SECRET": WEBHOOK_SECRET}

    @property
    def bus(self) -> Redis:
        return Redis(port=self.redis.port, db=BUS)

    @property
    def web(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def broken(self, table: str) -> Iterator[None]:
        """Whoever asks for this table fails, as none of our own code expects."""
        self._execute(f"ALTER TABLE {table} RENAME TO {table}_away")
        yield
        self._execute(f"ALTER TABLE {table}_away RENAME TO {table}")

    @contextmanager
    def refusing(self, table: str) -> Iterator[None]:
        """Rows that are written to this table are refused, with words that quote the row and name learners."""
        self._execute(
            f"{REFUSE}; CREATE TRIGGER refuse BEFORE {REFUSED_OF[table]} ON {table} FOR EACH ROW "
            "EXECUTE FUNCTION refuse()"
        )
        yield
        self._execute("DROP FUNCTION refuse CASCADE")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.postgres.url) as connection:
            connection.execute(statement)


def learner(number: int) -> LmsLearner:
    return LmsLearner(
        number, f"zyqname{number}", f"zyq.mail{number}@learners.example", f"Zyqfirst{number} Zyqlast{number}"
    )


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drive]:
    with Drive(tmp_path_factory.mktemp("drive")) as system:
        yield system


class Staff(requests.Session):
    """The administrator's browser; remembers the text of every answer."""

    def __init__(self, drive: Drive) -> None:
        super().__init__()
        self.seen: list[str] = []
        self._base = drive.web
        account = ("--username", "root", "--email", "root@staff.example")
        drive.manage("createsuperuser", "--no-input", *account, DJANGO_SUPERUSER_PASSWORD=PASSWORD)
        self.form("/admin/login/", username="root", password="zyq-mistyped")
        assert self.form("/admin/login/", username="root", password=PASSWORD).url.endswith("/admin/")

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        url = path if path.startswith("http") else f"{self._base}{path}"
        return super().request(method, url, timeout=30, **options)

    def form(self, path: str, **fields: str) -> requests.Response:
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.get(path).text)
        return self.post(path, data={"csrfmiddlewaretoken": token.group(1) if token else "", **fields})


def fail_at_credly_in_every_way(drive: Drive, academy: Academy) -> None:
    """A learner per fault that the emulator knows; one answer quotes what was sent, as Credly's do.

    What closes an organization's gate gets an organization, and a course, of its own.
    """
    quoting = learner(100)
    body = json.dumps({"data": {"message": f"{quoting.email} ({quoting.name}) is not allowed, nor is {academy.key}"}})
    match = {"method": "POST", "issuer_earner_id": str(quoting.id)}
    drive.credly("POST", "faults", {"match": match, "status": 422, "body": body, "times": 1})
    events = [academy.passes(quoting, COURSE)]
    for number, preset in enumerate(PRESETS, start=101):
        match = {"method": "POST", "issuer_earner_id": str(number)}
        drive.credly("POST", "faults", {"match": match, "preset": preset, "times": 1})
        course = f"{COURSE}-{preset}" if preset in CLOSING else COURSE
        if preset in CLOSING:
            Academy(drive, key=f"zyq-key-{uuid4()}").template([passing(course)])
        events.append(academy.passes(learner(number), course))
    academy.play(*events)


def met_at_credly(drive: Drive) -> set[str]:
    """The faults that calls of ours met."""
    return {call["fault"] for call in drive.credly("GET", "requests")["requests"] if call["fault"]}


def passing(course: str) -> dict[str, Any]:
    return requirement("course", ("is_passing", "eq", "true"), ("course.course_key", "eq", course))


def send_what_is_no_event(drive: Drive) -> None:
    """Messages that can't be read, or that no event may be, all of them with names in every part."""
    who = learner(50)
    whole = {"id": str(uuid4()), "type": "org.openedx.zyq.unknown.v1", "time": "2026-05-01T12:00:00+00:00"}
    messages: list[dict[Any, Any]] = [
        {"zyq-field": who.email},
        {**whole, "event_data": f"{who.name} {who.email}"},
        {**whole, "id": who.email},
        {**whole, "type": f"{who.name}", "id": str(uuid4())},
        {**whole, "type": "org.openedx.learning.course.passing.status.updated.v1", "event_data": who.email},
        {**whole, "time": who.username, "id": str(uuid4())},
        {b"\xffzyq": b"\xfe" + who.email.encode()},
    ]
    with drive.bus as bus:
        for message in messages:
            bus.xadd(TOPIC, message)


def visit_what_strangers_can(drive: Drive) -> list[str]:
    """Pages and answers for people without a login, some of them given names in every way; what they are shown."""
    hook, who = f"{drive.web}/badges/credly/webhook/", learner(51)
    good = {"id": str(uuid4()), "organization_id": str(uuid4()), "event_type": who.email}
    answers = [
        requests.post(hook + "zyq-wrong-secret/", json=good, timeout=20),
        requests.post(f"{hook}{WEBHOOK_SECRET}/", json=good, timeout=20),
        requests.post(f"{hook}{WEBHOOK_SECRET}/", json={"id": who.email}, timeout=20),
        requests.post(f"{hook}{WEBHOOK_SECRET}/", data=f"{{{who.email}", timeout=20),
        requests.post(f"{hook}{WEBHOOK_SECRET}/", data=who.email * 5000, timeout=20),
        requests.get(f"{drive.web}/no/such/page?who={who.email}", timeout=20),
        requests.get(f"{drive.web}/", headers={"Host": "zyq.example"}, timeout=20),
        requests.get(f"{drive.web}/admin/login/", cookies={"sessionid": who.username}, timeout=20),
        requests.post(f"{drive.web}/admin/login/", data={"username": who.email, "password": PASSWORD}, timeout=20),
        *(requests.get(f"{drive.web}/{path}", timeout=20) for path in ("healthz", "readyz", "metrics")),
    ]
    assert {answer.status_code for answer in answers} >= {200, 400, 403, 404, 413}
    return [answer.text for answer in answers]


def mistype_in_the_admin(drive: Drive, staff: Staff) -> list[str]:
    """Wrong input with keys and names in it, and our own faults while names are asked for; the pages of the faults."""
    staff.form("/admin/pipeline/organization/add/", uuid=str(uuid4()), api_key=WRONG_KEY, name="Zyq")
    staff.form("/admin/pipeline/organization/add/", uuid="zyq", api_key=WRONG_KEY)
    staff.form("/admin/auth/user/add/", username="zyq staff!", password1=PASSWORD, password2="zyq-other")
    staff.post("/admin/pipeline/learner/", data={"username": learner(1).username})
    with drive.broken("pipeline_learner"):
        query = f"q={learner(1).email}"
        faults = [staff.get(f"/admin/pipeline/learner/?{query}"), staff.get(f"/admin/pipeline/badge/?{query}")]
    assert {answer.status_code for answer in faults} == {500}
    return [answer.text for answer in faults]


def fail_at_the_database(drive: Drive, academy: Academy) -> None:
    """The consumer and each stage meet a database that refuses their rows: a learner for each."""

    def consumer_failed() -> bool:
        return "tries again" in drive.processes["consumer"].output()

    with drive.refusing("pipeline_event"):
        academy.play(academy.passes(learner(70), COURSE))
        eventually(consumer_failed)
    stages = {"persist": "learner", "issue": "badge", "emit": "signal", "webhook": "webhook"}
    for number, (stage, row) in enumerate(stages.items(), start=71):
        with drive.refusing(f"pipeline_{row}"):
            academy.play(academy.passes(learner(number), COURSE))
            eventually(lambda stage=stage: stage in {task["name"] for task in failed_by_flower(drive).values()})


def flower(drive: Drive, path: str) -> requests.Response:
    login = tuple(drive.flower_login.split(":"))
    return requests.get(f"http://127.0.0.1:{drive.flower_port}{path}", auth=login, timeout=20)


def failed_by_flower(drive: Drive) -> dict[str, dict[str, Any]]:
    """The tasks that Flower shows as failed, by id."""
    failed: dict[str, dict[str, Any]] = flower(drive, "/api/tasks?state=FAILURE").json()
    return failed


def what_flower_says(drive: Drive) -> list[str]:
    tasks = flower(drive, "/api/tasks").json()
    eventually(lambda: flower(drive, "/api/workers?refresh=1").json())
    assert {"evaluate", "persist", "issue", "emit", "webhook"} <= {task["name"] for task in tasks.values()}
    failed = failed_by_flower(drive)
    assert {task["exception"].partition("(")[0] for task in failed.values()} == {"OperationalError"}
    pages = ["/", "/tasks", "/broker", "/metrics", "/api/workers", "/api/tasks", "/task/nowhere"]
    return [flower(drive, path).text for path in (*pages, *(f"/task/{task}" for task in [*failed, *list(tasks)[:20]]))]


def kept_by_the_broker(drive: Drive) -> list[str]:
    with Redis(port=drive.redis.port, db=BROKER) as redis:
        return [repr(redis.dump(key)) + repr(key) for key in redis.scan_iter()]


@pytest.fixture(scope="module")
def seen(drive: Drive) -> dict[str, list[str]]:
    """Everything that the drive left, by where."""
    academy = Academy(drive, key=f"zyq-key-{uuid4()}")
    template = academy.template([passing(COURSE)], reaward=True)
    hook = f"{drive.web}/badges/credly/webhook/{WEBHOOK_SECRET}/"
    drive.credly("PATCH", f"organizations/{academy.organization}", {"webhook_url": hook})
    drive.credly("PATCH", "switches", {"webhook_time_factor": 0.01})
    staff = Staff(drive)
    pages: dict[str, list[str]] = {}
    with overheard(drive.redis.port) as heard:
        academy.play_and_wait(*(academy.passes(learner(number), COURSE) for number in range(1, 4)))
        fail_at_credly_in_every_way(drive, academy)
        send_what_is_no_event(drive)
        academy.play(academy.passes(learner(60), COURSE), _from_the_future(academy))
        fail_at_the_database(drive, academy)
        pages["strangers"] = visit_what_strangers_can(drive)
        pages["faults"] = mistype_in_the_admin(drive, staff)
        eventually(lambda: {"1", "60", "70", "71", "72", "73", "74"} <= set(academy.holders(template)))
        eventually(lambda: set(PRESETS) <= met_at_credly(drive))
        api = f"{drive.credly_url}v1/organizations/{academy.organization}/badges/"
        requests.delete(api + academy.badges_at_credly(template)[0]["id"], auth=(academy.key, ""), timeout=20)
        eventually(lambda: "Task webhook[" in drive.processes["credly"].output())
        drive.manage("retire_learner", "--lms-user-id", "2", "--yes")
        pages["flower"] = what_flower_says(drive)
        pages["broker, kept"] = kept_by_the_broker(drive)
    pages["broker, heard"] = heard[BROKER]
    pages["bus"] = heard[BUS]
    pages |= {f"log of {name}": [drive.processes[name].output()] for name in OURS}
    return pages


def _from_the_future(academy: Academy) -> Any:
    event = academy.passes(learner(62), COURSE)
    return type(event)(event.type, event.id, datetime.now(UTC) + timedelta(days=30), event.payload)


def test_the_drive_went_everywhere_and_would_be_found(seen: dict[str, list[str]]):
    assert all(MARK.search(text) for text in [" ".join(seen["bus"])])
    for name in OURS:
        assert len(seen[f"log of {name}"][0]) > 1000, name
    assert '"level": "DEBUG"' in seen["log of worker"][0]
    assert "Internal Server Error" in seen["log of web"][0]


@pytest.mark.parametrize(
    "where", ["strangers", "faults", "flower", "broker, kept", "broker, heard", *(f"log of {name}" for name in OURS)]
)
def test_no_name_no_address_and_no_key_is_there(seen: dict[str, list[str]], where: str, tmp_path: Path):
    texts = [text.replace("zyq.example", "") for text in seen[where]]  # the host that a stranger asked for
    found = [text[max(0, hit.start() - 200) : hit.end() + 60] for text in texts for hit in MARK.finditer(text)]
    assert found == []
