"""The system checks of Kafka's settings, and that without it nothing of Kafka is loaded."""

import os
import subprocess
import sys
from typing import Any

import pytest

from pipeline import checks
from pipeline.embedded.redis import RedisServer
from pipeline.embedded.system import PROJECT


@pytest.fixture
def kafka_settings(settings: Any) -> Any:
    settings.EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS = "kafka:9092"
    settings.EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL = "https://registry.example.org"
    return settings


def test_with_all_that_is_needed_nothing_is_said(kafka_settings: Any):
    assert checks.check_kafka(None) == []


def test_what_is_not_installed_is_named_with_the_file_that_brings_it(
    kafka_settings: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(checks, "KAFKA_PACKAGES", ("confluent_kafka", "no_such_package"))
    [error] = checks.check_kafka(None)
    assert (error.id, error.hint) == ("badges.E004", "Run: pip install -r requirements-kafka.txt")
    assert "no_such_package must be installed" in error.msg


def test_that_nothing_of_kafka_can_be_imported_then_is_not_said_a_second_time(
    kafka_settings: Any, monkeypatch: pytest.MonkeyPatch
):
    kafka_settings.EVENT_BUS_CONSUMER = "no_such_package.Consumer"
    assert [error.id for error in checks.check_event_bus(None)] == ["badges.E003"]
    monkeypatch.setattr(checks, "KAFKA_PACKAGES", ("no_such_package",))
    assert checks.check_event_bus(None) == []


@pytest.mark.parametrize(
    ("brokers", "key", "registry", "told"),
    [
        ("kafka1:9092,[::1]:9092", "", "https://registry.example.org", ["kafka1"]),
        ("kafka1:9092", "a key", "http://registry.example.org", ["registry.example.org"]),
        ("localhost:9092, 127.0.0.1:9092", "", "http://localhost:8081", []),
    ],
)
def test_what_is_sent_in_the_clear_is_told(settings: Any, brokers: str, key: str, registry: str, told: list[str]):
    settings.EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS = brokers
    settings.EVENT_BUS_KAFKA_API_KEY = key
    settings.EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL = registry
    found = checks.check_encryption(None)
    assert {message.id for message in found} <= {"badges.W008"}
    assert [
        message.msg.partition("said to ")[2].partition(" ")[0] for message in found if "KAFKA" in message.msg
    ] == told


def test_a_redis_that_is_not_the_bus_is_not_told_of_as_one(kafka_settings: Any, redis_server: RedisServer):
    kafka_settings.EVENT_BUS_REDIS_CONNECTION_URL = kafka_settings.CELERY_BROKER_URL = redis_server.url
    assert checks.check_redis(None, databases=["default"]) == []
    kafka_settings.EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS = ""
    assert [message.id for message in checks.check_redis(None, databases=["default"])] == ["badges.W011"]


def test_a_missing_schema_registry_is_an_error(kafka_settings: Any):
    kafka_settings.EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL = ""
    assert [error.id for error in checks.check_kafka(None)] == ["badges.E005"]


LOADED = """
import sys
import django
django.setup()
import importlib
from django.conf import settings
from django.core.management import call_command
from django.utils.module_loading import import_string
call_command("check")
for path in (settings.EVENT_BUS_CONSUMER, settings.EVENT_BUS_PRODUCER):
    import_string(path)
importlib.import_module("pipeline.urls")
sys.exit(any(name.split(".")[0] in ("confluent_kafka", "edx_event_bus_kafka", "httpx2") for name in sys.modules))
"""


@pytest.mark.parametrize(("brokers", "loaded"), [("", False), ("kafka:9092", True)])
def test_kafka_is_loaded_only_where_it_is_the_bus(brokers: str, loaded: bool, tmp_path: Any):
    environment = {
        "PATH": os.environ["PATH"],
        "DEBUG": "true",
        "DJANGO_SETTINGS_MODULE": "pipeline.settings",
        "DATABASE_URL": f"sqlite:///{tmp_path}/db",
        "EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS": brokers,
        "EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL": "http://registry",
    }
    done = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == loaded, done.stderr
