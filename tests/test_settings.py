"""The settings as a process finds them: what it starts with, and the one line it ends with."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from honcho.environ import parse_procfile

from tests.configuration.files import EXAMPLE

ROOT = Path(__file__).resolve().parents[1]
ORGANIZATION = "7d1b0f5e-2a44-4c0f-8e0c-5b1d8f6c9a02"
CELERY = [str(Path(sys.executable).parent / "celery"), "-A", "pipeline"]
MANAGE = [sys.executable, "manage.py"]
SECRET = "s3cret-value"


def environment(folder: Path, variables: dict[str, str], file: object = None) -> dict[str, str]:
    """A process's whole environment: nothing of ours gets in."""
    given = {
        "PATH": os.environ["PATH"],
        "DEBUG": "true",
        "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
    } | variables
    if file is not None:
        path = folder / "badges.yaml"
        path.write_text(file if isinstance(file, str) else yaml.safe_dump(file))
        given["BADGES_CFG"] = str(path)
    return {name: value for name, value in given.items() if value is not None}


@pytest.fixture
def run(tmp_path):
    def run(*command: str, file: object = None, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=ROOT,
            env=environment(tmp_path, variables, file),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def read(run):
    def read(expression: str, file: object = None, **variables: str) -> object:
        """What a process with these settings says of an expression about `settings`."""
        code = f"import json; from pipeline import settings; print(json.dumps({expression}, default=str))"
        ran = run(sys.executable, "-c", code, file=file, **variables)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    return read


def test_the_defaults_are_those_of_the_contract(read):
    expression = (
        "[settings.BADGES_ENABLED, settings.REDIS_URL, settings.CELERY_BROKER_URL, "
        "settings.EVENT_BUS_REDIS_CONNECTION_URL, settings.EVENT_BUS_TOPIC_PREFIX, settings.BADGES_CONFIG['events'], "
        "settings.BADGES_CONFIG['credly']['USE_SANDBOX'], settings.DATABASES['default']['NAME']]"
    )
    local = "redis://localhost:6379/0"
    assert read(expression, DATABASE_URL=None) == [
        False,
        local,
        local,
        local,
        "",
        [
            "org.openedx.learning.course.passing.status.updated.v1",
            "org.openedx.learning.ccx.course.passing.status.updated.v1",
            "org.openedx.learning.badge.awarded.v1",
            "org.openedx.learning.badge.revoked.v1",
        ],
        False,
        str(ROOT / "var" / "db.sqlite3"),
    ]


def test_broker_and_bus_follow_the_redis_url_unless_they_have_their_own(read):
    urls = "[settings.CELERY_BROKER_URL, settings.EVENT_BUS_REDIS_CONNECTION_URL]"
    assert read(urls, REDIS_URL="redis://one/1") == ["redis://one/1", "redis://one/1"]
    own = {"CELERY_BROKER_URL": "amqp://two", "EVENT_BUS_REDIS_CONNECTION_URL": "rediss://three/3"}
    assert read(urls, REDIS_URL="redis://one/1", **own) == ["amqp://two", "rediss://three/3"]


def test_the_environment_comes_before_the_file(read):
    file = {"BADGES_ENABLED": True, "EVENT_BUS_TOPIC_PREFIX": "file", "REDIS_URL": "redis://file"}
    expression = "[settings.BADGES_ENABLED, settings.EVENT_BUS_TOPIC_PREFIX, settings.REDIS_URL]"
    assert read(expression, file=file) == [True, "file", "redis://file"]
    assert read(expression, file=file, BADGES_ENABLED="false", EVENT_BUS_TOPIC_PREFIX="env") == [
        False,
        "env",
        "redis://file",
    ]


def test_nested_settings_of_the_file_are_laid_over_the_defaults(read):
    file = {
        "BADGES_CONFIG": {"credly": {"CREDLY_API_BASE_URL": "https://proxy.example/v1"}, "events": ["one.v1"]},
        "EVENT_BUS_PRODUCER_CONFIG": {
            "org.openedx.learning.badge.awarded.v1": {"learning-badges-lifecycle": {"enabled": False}}
        },
    }
    config, producer = read("[settings.BADGES_CONFIG, settings.EVENT_BUS_PRODUCER_CONFIG]", file=file)
    assert config["events"] == ["one.v1"]
    assert config["credly"]["CREDLY_API_BASE_URL"] == "https://proxy.example/v1/"
    assert config["credly"]["CREDLY_SANDBOX_API_BASE_URL"] == "https://sandbox-api.credly.com/v1/"
    assert "user.pii.email" in config["rules"]["ignored_keypaths"]
    awarded, revoked = (
        producer[f"org.openedx.learning.badge.{kind}.v1"]["learning-badges-lifecycle"]
        for kind in ("awarded", "revoked")
    )
    assert awarded == {"event_key_field": "badge.uuid", "enabled": False}
    assert revoked == {"event_key_field": "badge.uuid", "enabled": True}


def test_variables_override_the_credly_part_of_the_file(read):
    file = {
        "BADGES_CONFIG": {
            "credly": {"CREDLY_BASE_URL": "https://file/", "USE_SANDBOX": True, "ORGANIZATIONS": {ORGANIZATION: "file"}}
        }
    }
    assert read("settings.BADGES_CONFIG['credly']", file=file)["USE_SANDBOX"] is True
    other = "0" * 32
    credly = read(
        "settings.BADGES_CONFIG['credly']",
        file=file,
        CREDLY_BASE_URL="https://variable",
        CREDLY_USE_SANDBOX="false",
        CREDLY_SANDBOX_API_BASE_URL="http://127.0.0.1:9/v1",
        CREDLY_ORGANIZATIONS=json.dumps({other: "variable"}),
    )
    assert credly["CREDLY_BASE_URL"] == "https://variable/"
    assert credly["CREDLY_SANDBOX_API_BASE_URL"] == "http://127.0.0.1:9/v1/"
    assert credly["USE_SANDBOX"] is False
    assert credly["ORGANIZATIONS"] == {ORGANIZATION: "file", "00000000-0000-0000-0000-000000000000": "variable"}


def test_the_sandbox_switch_picks_the_sandboxs_api(settings):
    from pipeline.configuration.organizations import api_base_url

    config = settings.BADGES_CONFIG
    for sandbox, url in ((False, "https://api.credly.com/v1/"), (True, "https://sandbox-api.credly.com/v1/")):
        settings.BADGES_CONFIG = config | {"credly": config["credly"] | {"USE_SANDBOX": sandbox}}
        assert api_base_url() == url


def test_sqlite_is_told_to_let_several_processes_write(read, tmp_path):
    database = read("settings.DATABASES['default']")
    assert database["NAME"] == str(tmp_path / "db.sqlite3")
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert database["OPTIONS"]["timeout"] >= 10
    assert "journal_mode=WAL" in database["OPTIONS"]["init_command"]


def test_options_of_an_sqlite_url_come_first(read, tmp_path):
    options = read("settings.DATABASES['default']['OPTIONS']", DATABASE_URL=f"sqlite:///{tmp_path}/db?timeout=3")
    assert options["timeout"] == 3
    assert options["transaction_mode"] == "IMMEDIATE"


def test_a_lock_of_postgresql_is_not_waited_for_until_the_task_is_ended(read):
    url = "postgres://u:p@h:5/name"
    options = read("settings.DATABASES['default']['OPTIONS']['options']", DATABASE_URL=url)
    seconds = int(options.removeprefix("-c lock_timeout=").removesuffix("s"))
    assert 0 < seconds < read("__import__('celeryconfig').task_time_limit") / 2


def test_options_of_a_postgresql_url_come_first(read):
    url = "postgres://u:p@h:5/name?options=-c%20lock_timeout%3D0"
    assert read("settings.DATABASES['default']['OPTIONS']['options']", DATABASE_URL=url) == "-c lock_timeout=0"


@pytest.mark.parametrize(
    ("url", "seconds"), [("postgres://u:p@h:5/name", 5), ("postgres://u:p@h:5/name?connect_timeout=9", 9)]
)
def test_a_database_server_that_does_not_answer_is_away_within_seconds_unless_the_url_says_otherwise(
    read, url, seconds
):
    assert int(read("settings.DATABASES['default']['OPTIONS']['connect_timeout']", DATABASE_URL=url)) == seconds


def test_a_command_ends_where_the_database_server_takes_connections_and_is_mute(run):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"postgres://u:p@127.0.0.1:{mute.getsockname()[1]}/name"
        ran = run(*MANAGE, "pipeline_status", DATABASE_URL=url)
    assert (ran.returncode, "The database refuses" in ran.stderr) == (1, True)


def test_the_folder_of_an_sqlite_file_is_made_also_one_with_a_space(read, tmp_path):
    file = tmp_path / "a folder" / "db.sqlite3"
    assert read("settings.DATABASES['default']['NAME']", DATABASE_URL=f"sqlite:///{file}") == str(file)
    assert file.parent.is_dir()


@pytest.mark.parametrize("url", ["postgres://u:p@h:5/name", "mysql://u:p@h:5/name"])
def test_a_url_names_server_database_and_user(read, tmp_path, url):
    (tmp_path / "MySQLdb.py").touch()
    database = read("settings.DATABASES['default']", DATABASE_URL=url, PYTHONPATH=str(tmp_path))
    assert (database["NAME"], database["HOST"], database["PORT"], database["USER"]) == ("name", "h", 5, "u")


def test_mysql_is_told_to_be_strict_to_tell_the_time_in_utc_and_not_to_wait_long(read, tmp_path):
    (tmp_path / "MySQLdb.py").touch()
    url = "mysql://u:p@h:5/name?connect_timeout=3"
    options = read("settings.DATABASES['default']['OPTIONS']", DATABASE_URL=url, PYTHONPATH=str(tmp_path))
    assert options == {
        "charset": "utf8mb4",
        "isolation_level": "read committed",
        "connect_timeout": 3,
        "init_command": "SET SESSION sql_mode = 'TRADITIONAL', SESSION time_zone = '+00:00', "
        "SESSION innodb_lock_wait_timeout = 6, SESSION lock_wait_timeout = 6",
    }


def test_a_command_in_the_url_of_mysql_comes_after_ours(read, tmp_path):
    (tmp_path / "MySQLdb.py").touch()
    url = "mysql://u:p@h:5/name?init_command=SET%20lock_wait_timeout%3D3600"
    command = "settings.DATABASES['default']['OPTIONS']['init_command']"
    ours, theirs = read(command, DATABASE_URL=url, PYTHONPATH=str(tmp_path)).split("; ")
    assert ours == read(command, DATABASE_URL="mysql://u:p@h:5/name", PYTHONPATH=str(tmp_path))
    assert theirs == "SET lock_wait_timeout=3600"


@pytest.mark.parametrize(("engine", "errors"), [("django.db.backends.mysql", 1), ("pipeline.mysql", 0)])
def test_mysql_by_another_backend_than_ours_is_an_error(run, engine, errors):
    pytest.importorskip("MySQLdb", reason="mysqlclient is not installed (requirements-mysql.txt)")
    file = {"DATABASES": {"default": {"ENGINE": engine, "HOST": "127.0.0.1", "PORT": 1, "NAME": "badges"}}}
    assert run(*MANAGE, "pipeline_status", file=file).stderr.count("badges.E006") == errors


def test_a_setting_of_django_may_stand_in_the_file(read):
    assert read("settings.EMAIL_HOST", file={"EMAIL_HOST": "mail.example"}) == "mail.example"


@pytest.mark.parametrize(
    ("name", "value"),
    [("TIME_ZONE", "Europe/Kyiv"), ("DATABASES", {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "x"}})],
)
def test_a_setting_that_has_a_default_here_may_stand_in_the_file(read, name, value):
    assert read(f"settings.{name}", file={name: value}) == value


BAD_VARIABLES = [
    ("DEBUG", "maybe"),
    ("BADGES_ENABLED", "2"),
    ("DATABASE_URL", f"oracle://u:{SECRET}@h/name"),
    ("DATABASE_URL", f"postgres://u:{SECRET}@h:port/name"),
    ("DATABASE_URL", f"sqlite:///{__file__}/folder/db.sqlite3"),
    ("DATABASE_URL", f"sqlite:///{__file__}/db.sqlite3"),
    ("REDIS_URL", f"http://:{SECRET}@h"),
    ("REDIS_URL", "localhost:6379"),
    ("REDIS_URL", f"redis://:{SECRET}@localhost:port/0"),
    ("CELERY_BROKER_URL", f"sqs://{SECRET}"),
    ("EVENT_BUS_REDIS_CONNECTION_URL", f"amqp://{SECRET}"),
    ("EVENT_BUS_REDIS_STREAM_MAX_LEN", "-5"),
    ("EVENT_BUS_REDIS_STREAM_MAX_LEN", "many"),
    ("CREDLY_USE_SANDBOX", "perhaps"),
    ("CREDLY_BASE_URL", "credly.com"),
    ("CREDLY_API_BASE_URL", "ftp://credly.com"),
    ("CREDLY_SANDBOX_BASE_URL", "sandbox"),
    ("CREDLY_SANDBOX_API_BASE_URL", "//sandbox"),
    ("CREDLY_ORGANIZATIONS", SECRET),
    ("CREDLY_ORGANIZATIONS", f'{{"academy": "{SECRET}"}}'),
    ("CREDLY_ORGANIZATIONS", f'["{SECRET}"]'),
    ("CREDLY_ORGANIZATIONS", f'{{"{ORGANIZATION}": ""}}'),
    ("BADGES_CFG", "/no/such/file.yaml"),
]


def assert_one_line(ran: subprocess.CompletedProcess[str], *names: str) -> None:
    assert ran.returncode == 1
    assert ran.stdout == ""
    [line] = ran.stderr.splitlines()
    assert line.startswith("Configuration error: ")
    assert all(name in line for name in names)
    assert SECRET not in line


@pytest.mark.parametrize(("name", "value"), BAD_VARIABLES)
def test_a_bad_variable_stops_the_start_with_one_line_that_names_it(run, name, value):
    assert_one_line(run(*MANAGE, "check", **{name: value}), name)


def test_without_the_driver_for_mysql_nothing_starts_and_the_line_says_what_to_install(run, tmp_path):
    (tmp_path / "sitecustomize.py").write_text('import sys; sys.modules["MySQLdb"] = None')
    ran = run(*MANAGE, "check", DATABASE_URL=f"mysql://u:{SECRET}@h/name", PYTHONPATH=str(tmp_path))
    assert_one_line(ran, "DATABASE_URL", "pip install -r requirements-mysql.txt")


@pytest.mark.parametrize("login", [SECRET, f":{SECRET}", f"{SECRET}:"], ids=["no colon", "no user", "no password"])
def test_a_login_for_flower_of_the_wrong_shape_stops_its_start_with_one_line(run, login):
    command = [*CELERY, "flower", "--conf=pipeline/flowerconfig.py"]
    ran = run(*command, BADGES_ENABLED="true", FLOWER_BASIC_AUTH=login)
    line = "FLOWER_BASIC_AUTH: (not shown) is not allowed; it must be user:password"
    assert (ran.returncode, ran.stderr) == (1, f"{line}\n")


@pytest.mark.parametrize(
    ("file", "key"),
    [
        ({"BADGES_ENABLED": "perhaps"}, "BADGES_ENABLED"),
        ({"BADGES_CONFIG": ["events"]}, "BADGES_CONFIG"),
        ({"BADGES_CONFIG": {"credly": "sandbox"}}, "BADGES_CONFIG.credly"),
        ({"BADGES_CONFIG": {"credly": None}}, "BADGES_CONFIG.credly"),
        ({"BADGES_CONFIG": {"credly": {"USE_SANDBOX": "perhaps"}}}, "BADGES_CONFIG.credly.USE_SANDBOX"),
        ({"BADGES_CONFIG": {"credly": {"CREDLY_BASE_URL": "credly.com"}}}, "CREDLY_BASE_URL in BADGES_CONFIG.credly"),
        ({"BADGES_CONFIG": {"credly": {"ORGANIZATIONS": {"academy": SECRET}}}}, "BADGES_CONFIG.credly.ORGANIZATIONS"),
        ({"BADGES_CONFIG": {"events": "one"}}, "BADGES_CONFIG.events"),
        ({"BADGES_CONFIG": {"rules": None}}, "BADGES_CONFIG.rules"),
        ({"BADGES_CONFIG": {"rules": {"ignored_keypaths": [1]}}}, "BADGES_CONFIG.rules.ignored_keypaths"),
        ({"EVENT_BUS_PRODUCER_CONFIG": ["a"]}, "EVENT_BUS_PRODUCER_CONFIG"),
        ({"EVENT_BUS_TOPIC_PREFIX": ["a"]}, "EVENT_BUS_TOPIC_PREFIX"),
        ({"REDIS_URL": f"http://{SECRET}"}, "REDIS_URL in "),
        ("A: [", "BADGES_CFG"),
        ("badges_enabled: true", "badges_enabled"),
    ],
)
def test_a_bad_key_of_the_file_stops_the_start_with_one_line_that_names_it(run, file, key):
    assert_one_line(run(*MANAGE, "check", file=file), key)


@pytest.mark.parametrize(
    "producer_config",
    [
        {"org.openedx.learning.badge.awarded.v1": "on"},
        {"org.openedx.learning.badge.awarded.v1": {"learning-badges-lifecycle": {"enabled": "perhaps"}}},
        {"no.such.event.v1": {"topic": {"event_key_field": "x", "enabled": True}}},
    ],
)
def test_a_bad_producer_configuration_stops_the_start_without_a_traceback(run, producer_config):
    ran = run(*MANAGE, "check", file={"EVENT_BUS_PRODUCER_CONFIG": producer_config})
    assert ran.returncode == 1
    assert "EVENT_BUS_PRODUCER_CONFIG" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_without_debug_a_secret_key_is_required(run):
    assert_one_line(run(*MANAGE, "check", DEBUG="false"), "SECRET_KEY is required")
    assert run(*MANAGE, "check", DEBUG="false", SECRET_KEY="x" * 60).returncode == 0


@pytest.mark.parametrize(
    "command",
    [
        [*MANAGE, "consume_events", "-t", "learning-badges-lifecycle", "-g", "credentials_dev"],
        [*CELERY, "worker", "-c", "1"],
        [*CELERY, "beat"],
    ],
    ids=["consumer", "worker", "beat"],
)
def test_while_badges_are_switched_off_nothing_that_works_on_them_starts(run, command):
    ran = run(
        *command, BADGES_ENABLED="false", CELERY_BROKER_URL="redis://127.0.0.1:1/0", REDIS_URL="redis://127.0.0.1:1/0"
    )
    assert ran.returncode == 1
    assert "set BADGES_ENABLED=true" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_while_badges_are_switched_off_checks_and_the_admin_work(run, client, db, settings):
    settings.BADGES_ENABLED = False
    assert run(*MANAGE, "check", BADGES_ENABLED="false").returncode == 0
    page = client.get("/admin/login/")
    assert page.status_code == 200
    assert b"password" in page.content


@pytest.mark.parametrize(
    ("command", "status", "complaint"),
    [
        (["badge_status", "--username", "nobody"], 1, "nobody"),
        (["badge_status"], 2, "--username"),
        (["pipeline_status", "--nonsense"], 2, "--nonsense"),
        (["redrive", "nonsense"], 2, "'nonsense' is not allowed; it must be one of events, badges, signals"),
    ],
)
def test_wrong_input_ends_a_command_with_a_status_and_no_traceback(run, command, status, complaint):
    assert run(*MANAGE, "migrate", "-v", "0").returncode == 0
    ran = run(*MANAGE, *command, BADGES_ENABLED="true", REDIS_URL="redis://127.0.0.1:1/0")
    assert ran.returncode == status
    assert complaint in ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.stdout == ""


def test_the_status_of_an_empty_pipeline_whose_bus_is_away_is_told_all_the_same(run):
    assert run(*MANAGE, "migrate", "-v", "0").returncode == 0
    ran = run(*MANAGE, "pipeline_status", "--json", REDIS_URL="redis://127.0.0.1:1/0")
    assert ran.returncode == 0
    assert json.loads(ran.stdout)["idle"] is False


def test_the_example_of_the_contract_is_imported_without_a_warning_when_the_settings_have_its_key(run, tmp_path):
    file = tmp_path / "example.yaml"
    file.write_text(EXAMPLE)
    assert run(*MANAGE, "migrate", "-v", "0").returncode == 0
    keys = json.dumps({ORGANIZATION: SECRET})
    ran = run(*MANAGE, "import_badges", str(file), CREDLY_ORGANIZATIONS=keys)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Done: 4 added.\n" in ran.stdout
    ran = run(*MANAGE, "import_badges", str(file))
    assert (ran.returncode, ran.stdout) == (0, "Nothing to change.\n")
    assert ran.stderr.startswith(f"Warning: Example Academy ({ORGANIZATION}): ")


@pytest.mark.parametrize(
    ("extra", "status", "complaint"),
    [
        ('{"consumer": "x"}', 1, "unknown key(s) consumer"),
        ('{"last_read_msg_id": "yesterday"}', 1, "last_read_msg_id: 'yesterday' is not allowed"),
        ('{"last_read_msg_id": "1-2-3"}', 1, "last_read_msg_id: '1-2-3' is not allowed"),
        ('{"claim_msgs_older_than": "soon"}', 1, "claim_msgs_older_than: 'soon' is not allowed"),
        ("{consumer_name: one}", 2, "it must be a JSON object"),
        ("[]", 2, "it must be a JSON object"),
    ],
)
def test_a_wrong_extra_argument_of_the_consumer_is_one_line(run, extra, status, complaint):
    ran = run(*MANAGE, "consume_events", "-t", "t", "-g", "g", "--extra", extra, BADGES_ENABLED="true")
    assert (ran.returncode, ran.stdout) == (status, "")
    [line] = ran.stderr.splitlines()
    assert complaint in line


@pytest.mark.parametrize(
    "command",
    [
        ["pipeline_status"],
        ["badge_status", "--username", "ada"],
        ["redrive"],
        ["import_badges", "pipeline/demo/badges.yaml"],
        ["export_badges"],
        ["try_event", "--template", ORGANIZATION, "--event", ORGANIZATION],
        ["sync_organization_badge_templates"],
        ["reconcile"],
        ["replay_events", "--status", "failed"],
        ["backfill", ORGANIZATION],
        ["purge_events"],
        ["export_learner", "--username", "ada"],
        ["retire_learner", "--username", "ada"],
    ],
    ids=lambda command: command[0],
)
def test_a_database_without_tables_ends_a_command_with_one_line(run, command):
    ran = run(*MANAGE, *command, BADGES_ENABLED="true", REDIS_URL="redis://127.0.0.1:1/0")
    assert (ran.returncode, ran.stdout) == (1, "")
    [line] = ran.stderr.splitlines()
    assert line.startswith("CommandError: The database refuses: no such table")
    assert "manage.py migrate" in line


@pytest.mark.parametrize("process", ["worker", "credly"])
def test_a_worker_is_named_by_the_platform_else_by_what_it_is_and_its_process_id(process):
    """Two of one name would answer for each other."""
    [name] = re.findall(r" -n (\S+)", parse_procfile((ROOT / "Procfile").read_text()).processes[process])

    def expanded(**variables: str) -> str:
        return subprocess.run(["sh", "-c", f"echo {name} $$"], env=variables, capture_output=True, text=True).stdout

    assert expanded(DYNO=f"{process}.3").startswith(f"{process}.3@%h ")
    assert expanded(PS=f"{process}.4").startswith(f"{process}.4@%h ")
    own, process_id = expanded().split()
    assert own == f"{process}.{process_id}@%h"
