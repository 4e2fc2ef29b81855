"""The system checks of Kafka's settings, and that without it nothing of Kafka is loaded."""

import os
import subprocess
import sys
from typing import Any

import pytest

from pipeline import checks
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
