"""The broker away while workers run and events come in."""

from threading import Thread

import pytest
from celery import Celery
from django.db import connection
from kombu.transport import pyamqp
from pytest_celery import CeleryTestSetup

from pipeline import brokers, nudges
from tests.system.conditions import eventually
from tests.tasks.conftest import on_every_broker
from tests.tasks.nodes import BrokerNode
from tests.tasks.school import School, nothing_waits, status

pytestmark = on_every_broker


def test_workers_go_on_after_a_restart_of_the_broker(celery_setup: CeleryTestSetup, school: School):
    nudges.evaluate([school.passes()])
    eventually(lambda: school.issued() == ["1"] and nothing_waits())
    celery_setup.broker.restart()
    nudges.evaluate([school.passes()])
    eventually(nothing_waits)
    assert school.issued() == ["1", "2"]


@pytest.mark.parametrize("connected", [False, True])
def test_a_nudge_to_a_broker_that_is_down_is_logged_and_no_error(
    celery_broker: BrokerNode,
    celery_setup_app: Celery,
    school: School,
    caplog: pytest.LogCaptureFixture,
    connected: bool,
):
    if connected:
        nudges.evaluate([school.passes()])
    event = school.passes()
    celery_broker.server.stop()
    nudges.evaluate([event])
    assert "The broker did not take 1 nudge(s) for evaluate" in caplog.text
    assert status(event) == "received"


def test_a_nudge_over_a_pool_that_was_closed_is_logged_and_no_error(
    celery_broker: BrokerNode, celery_setup_app: Celery, school: School, caplog: pytest.LogCaptureFixture
):
    """kombu then raises RuntimeError, as where a connection is replaced in the midst of a batch."""
    event = school.passes()
    nudges.evaluate([event])
    celery_setup_app.producer_pool.force_close_all()
    nudges.evaluate([event])
    assert "The broker did not take 1 nudge(s) for evaluate (RuntimeError)" in caplog.text
    assert celery_broker.waiting("evaluate") == 1


@pytest.mark.timeout(60)
def test_a_nudge_to_a_broker_that_hangs_is_given_up(
    celery_broker: BrokerNode, celery_setup_app: Celery, school: School, caplog: pytest.LogCaptureFixture
):
    nudges.evaluate([school.passes()])
    event = school.passes()
    celery_broker.server.freeze()
    try:
        nudges.evaluate([event])
    finally:
        celery_broker.server.thaw()
    assert "The broker did not take 1 nudge(s) for evaluate" in caplog.text
    assert status(event) == "received"


@pytest.mark.timeout(60)
def test_control_without_our_limits_a_nudge_to_a_broker_that_hangs_hangs_with_it(
    celery_broker: BrokerNode, celery_setup_app: Celery, school: School, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pyamqp.Transport, "Connection", pyamqp.Connection)
    celery_setup_app.conf.broker_transport_options = {"confirm_publish": True, "socket_timeout": None}
    nudges.evaluate([school.passes()])
    event = school.passes()

    def nudge() -> None:
        nudges.evaluate([event])
        connection.close()

    nudging = Thread(target=nudge)
    celery_broker.server.freeze()
    try:
        nudging.start()
        nudging.join(brokers.REDIS_OPTIONS["socket_timeout"] + 2)
        assert nudging.is_alive()
    finally:
        celery_broker.server.thaw()
    nudging.join()
    eventually(lambda: celery_broker.waiting("evaluate") == 2)
