"""What the build of the documentation (`make docs`) does not see: links of the pages beside it, and lists kept by hand."""

import re
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pipeline.embedded.mysql import DATABASE, MySqlServer
from pipeline.embedded.system import PROJECT
from pipeline.lms.events import PASSING
from pipeline.lms.reading import read_events
from tests.databases import require_mysql

LINK = re.compile(r"\]\(([^)\s]+)\)")
DOCS = PROJECT / "docs"
DECISIONS = DOCS / "decisions"


@pytest.mark.parametrize("page", sorted(PROJECT.glob("*.md")), ids=lambda page: page.name)
def test_the_links_of_a_page_in_the_root_lead_somewhere(page: Path):
    targets = {target.partition("#")[0] for target in LINK.findall(page.read_text()) if "://" not in target}
    assert [target for target in targets if target and not (PROJECT / target).exists()] == []


def test_every_decision_is_listed_under_its_title():
    titles = {file.name: file.read_text().partition("\n")[0].removeprefix("# ") for file in DECISIONS.glob("0*.md")}
    listed = dict(re.findall(r"^- \[(.+)\]\((.+)\)$", (DECISIONS / "index.md").read_text(), re.MULTILINE))
    assert {file: title for title, file in listed.items()} == titles


def test_every_deployment_page_names_commands_that_exist():
    commands = {file.stem for file in (PROJECT / "pipeline" / "management" / "commands").glob("[a-z]*.py")}
    of_django = {"migrate", "createsuperuser", "shell", "check"}
    for page in (PROJECT / "docs" / "deployment").glob("*.md"):
        named = set(re.findall(r"manage\.py ([a-z_]+)", page.read_text()))
        assert named <= commands | of_django, page.name


def test_the_event_of_the_first_deployment_can_be_played():
    [line] = re.findall(r'^ +(\{"id": .+)$', (DOCS / "deployment" / "first-deployment.md").read_text(), re.MULTILINE)
    [event] = read_events([line], "events.jsonl", {PASSING})
    assert event.time < datetime.now(UTC)


def test_the_commands_that_set_mysql_up_let_in_whom_the_url_names(tmp_path: Path):
    require_mysql()
    page = (DOCS / "configuration.md").read_text()
    [commands] = re.findall(r'^mysql -e "(.+?)"', page, re.MULTILINE | re.DOTALL)
    [url] = re.findall(r"`DATABASE_URL=(mysql://user:password@host/\w+)`", page)
    named = urlsplit(url)
    from MySQLdb import connect

    with MySqlServer(tmp_path / "mysql") as server:
        with closing(connect(unix_socket=str(tmp_path / "mysql/data/socket"), user="root")) as root:
            for command in (f"DROP DATABASE {DATABASE}", *commands.split(";")):
                root.cursor().execute(command)
        login = {"user": named.username, "password": named.password, "database": named.path.removeprefix("/")}
        with closing(connect(host="127.0.0.1", port=server.port, **login)) as user:
            user.cursor().execute("CREATE TABLE ours (id int)")


def test_every_check_is_listed():
    code = [(PROJECT / "pipeline" / name).read_text() for name in ("checks.py", "redis_servers.py")]
    checks = set(re.findall(r'"(badges\.[EW]\d+)"', "".join(code)))
    listed = set(re.findall(r"^\| `(badges\.[EW]\d+)` \|", (DOCS / "configuration.md").read_text(), re.MULTILINE))
    assert listed == checks


def test_every_folder_of_tests_is_described():
    folders = {file.parent.name for file in (PROJECT / "tests").glob("*/__init__.py")}
    described = re.findall(r"`(\w+)/`", (DOCS / "development.md").read_text().partition("## Tests")[2])
    assert folders <= set(described)


def test_the_picture_of_an_events_way_names_every_stage_and_its_process():
    steps = re.findall(r"^\| (\w+) \| `(\w+)` \|", (DOCS / "processing.md").read_text(), re.MULTILINE)
    picture = (DOCS / "images" / "way-of-an-event.svg").read_text()
    named = re.findall(r'font-weight="600">(\w+) · (\w+)</text>', picture)
    assert named == steps
