"""What is RabbitMQ's own: how queues are declared, and what happens when it takes nothing for a while."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from uuid import UUID

import pytest
from celery import Celery
from django.db import connection as database_connection
from kombu import Connection, Exchange, Queue
from kombu.exceptions import OperationalError
from kombu.transport import pyamqp

from pipeline import brokers, nudges, rabbitmq
from pipeline.ledgers import claims
from tests.system.conditions import eventually
from tests.tasks.conftest import Start, StartWorker, use_broker
from tests.tasks.rabbitmq_nodes import RabbitMQNode
from tests.tasks.school import School, nothing_waits, status
from tests.tasks.test_shutdown import CONTRACT_SECONDS
from tests.tls.certificates import Certificates, door, make_certificates


@pytest.fixture
def broker_kind() -> str:
    return "rabbitmq"


@contextmanager
def short_of_disk(broker: RabbitMQNode) -> Iterator[None]:
    """RabbitMQ blocks whoever publishes, as when its disk is full."""
    control = broker.server.server.control
    control("set_disk_free_limit", "10000GB")
    eventually(lambda: "disk" in control("eval", "rabbit_alarm:get_alarms()."))
    try:
        yield
    finally:
        control("set_disk_free_limit", "1MB")
        eventually(lambda: control("eval", "rabbit_alarm:get_alarms().").strip() == "[]")


def test_queues_are_quorum_queues_with_a_limit_of_deliveries(celery_broker: RabbitMQNode, start_worker: StartWorker):
    for worker in (start_worker("worker"), start_worker("credly")):
        assert worker.ready()
    server = celery_broker.server
    listed = server.server.control("list_queues", "-p", server.name, "--formatter=csv", "name", "type", "arguments")
    queues = [line.replace('"', "").split(",", 2) for line in listed.splitlines()[1:]]
    ours = {name: (kind, told) for name, kind, told in queues if "." not in name and "@" not in name}
    assert set(ours) == {"evaluate", "persist", "issue", "emit", "housekeeping", "recheck", "webhook", "sync"}
    for kind, told in ours.values():
        assert kind == "quorum"
        assert f"x-delivery-limit,{brokers.MOST_DELIVERIES}" in told.replace("{", "").replace("}", "")


def test_what_kills_its_worker_is_set_aside_by_us_before_rabbitmq_drops_it():
    assert claims.MOST_TAKEN_UP * 2 < brokers.MOST_DELIVERIES


def give_back_too_often(broker: RabbitMQNode, app: Celery) -> None:
    """A message, which its queue must have been told of before."""
    app.send_task("housekeeping")
    eventually(lambda: broker.waiting("housekeeping") == 1)
    for _ in range(brokers.MOST_DELIVERIES + 1):
        with Connection(broker.url) as connection:
            channel = connection.default_channel
            message = eventually(lambda channel=channel: channel.basic_get("housekeeping"))
            channel.basic_reject(message.delivery_tag, requeue=True)


def test_a_message_that_is_given_back_too_often_is_dropped(celery_broker: RabbitMQNode, celery_setup_app: Celery):
    give_back_too_often(celery_broker, celery_setup_app)
    eventually(lambda: celery_broker.waiting("housekeeping") == 0)


def test_control_without_a_limit_of_deliveries_it_goes_round_for_ever(
    celery_broker: RabbitMQNode, celery_setup_app: Celery
):
    told = {"x-queue-type": "quorum"}
    unlimited = Queue("housekeeping", Exchange("housekeeping"), "housekeeping", queue_arguments=told)
    celery_setup_app.conf.task_queues = [unlimited]
    give_back_too_often(celery_broker, celery_setup_app)
    eventually(lambda: celery_broker.waiting("housekeeping") == 1)


def nudge_as_it_dies(broker: RabbitMQNode, school: School) -> None:
    """One nudge that RabbitMQ took, and one that it is sent before it is killed; then it is back.

    What a queue is called RabbitMQ writes down seconds after it was declared; what an unknown one held, it does not find.
    """
    nudges.evaluate([school.passes()])
    eventually(lambda: broker.waiting("evaluate") == 1)
    broker.server.server.control("eval", "[dets:sync(Table) || Table <- dets:all()].")
    broker.server.freeze()
    nudges.evaluate([school.passes()])
    broker.server.kill()
    broker.server.start()


NOT_TAKEN = "The broker did not take 1 nudge(s) for evaluate"


def test_a_nudge_that_was_confirmed_outlives_a_kill_of_rabbitmq_and_one_that_was_not_is_told_of(
    celery_broker: RabbitMQNode, celery_setup_app: Celery, school: School, caplog: pytest.LogCaptureFixture
):
    nudge_as_it_dies(celery_broker, school)
    assert f"{NOT_TAKEN} (NotTaken)" in caplog.text
    eventually(lambda: celery_broker.waiting("evaluate") == 1)


def test_control_without_confirmations_a_nudge_is_lost_and_nobody_told(
    celery_broker: RabbitMQNode, celery_setup_app: Celery, school: School, caplog: pytest.LogCaptureFixture
):
    celery_setup_app.conf.broker_transport_options = {**brokers.RABBITMQ_OPTIONS, "confirm_publish": False}
    nudge_as_it_dies(celery_broker, school)
    assert caplog.text == ""
    eventually(lambda: celery_broker.waiting("evaluate") == 1)


def test_control_what_is_not_to_be_kept_is_gone_after_a_kill_of_rabbitmq(
    celery_broker: RabbitMQNode, celery_setup_app: Celery, school: School
):
    celery_setup_app.conf.update(task_queues=None, task_default_delivery_mode="transient")
    nudge_as_it_dies(celery_broker, school)
    nudges.evaluate([school.passes()])
    assert eventually(lambda: celery_broker.waiting("evaluate")) == 1


def test_a_nudge_that_nobody_took_in_time_expires(
    celery_broker: RabbitMQNode, celery_setup_app: Celery, monkeypatch: pytest.MonkeyPatch, database: object
):
    monkeypatch.setattr(nudges, "ISSUE_EXPIRES_SECONDS", 1)
    nudges.issue([1])
    nudges.recheck([1])
    eventually(lambda: celery_broker.waiting("recheck") == 1)
    eventually(lambda: celery_broker.waiting("issue") == 0)


@pytest.mark.parametrize("connected", [False, True])
def test_a_nudge_to_a_broker_whose_disk_is_full_is_given_up_at_once(
    celery_broker: RabbitMQNode,
    celery_setup_app: Celery,
    school: School,
    caplog: pytest.LogCaptureFixture,
    connected: bool,
):
    if connected:
        nudges.evaluate([school.passes()])
    events = [school.passes() for _ in range(3)]
    with short_of_disk(celery_broker):
        for event in events:
            nudges.evaluate([event])
    assert caplog.text.count(f"{NOT_TAKEN} (Blocked)") == len(events)
    caplog.clear()
    nudges.evaluate(events)
    assert caplog.text == ""
    eventually(lambda: celery_broker.waiting("evaluate") > connected)


@pytest.fixture
def channel(celery_broker: RabbitMQNode) -> Iterator[rabbitmq.Channel]:
    """A channel as that of the nudges."""
    with Connection(celery_broker.url, transport_options=dict(brokers.RABBITMQ_OPTIONS)) as connection:
        yield connection.default_channel


def publish(channel: rabbitmq.Channel, queue: str, delivery_mode: int = rabbitmq.PERSISTENT) -> None:
    message = channel.prepare_message(b"", properties={"delivery_mode": delivery_mode})
    channel.basic_publish(message, routing_key=queue)


def test_an_alarm_that_came_and_went_meanwhile_refuses_nothing(celery_broker: RabbitMQNode, channel: rabbitmq.Channel):
    """Who does not wait for a confirmation hears of the alarm only with the next message."""
    channel.queue_declare("one", durable=True, auto_delete=False)
    with short_of_disk(celery_broker):
        publish(channel, "one", delivery_mode=1)
    publish(channel, "one")
    eventually(lambda: celery_broker.waiting("one") == 2)


def test_after_an_alarm_a_late_confirmation_is_not_taken_for_that_of_another_message(
    celery_broker: RabbitMQNode, channel: rabbitmq.Channel, monkeypatch: pytest.MonkeyPatch
):
    """Two queues, which are held up in turn."""
    monkeypatch.setattr(rabbitmq, "CONFIRM_SECONDS", 120)
    server, host = celery_broker.server.server, celery_broker.server.name
    for queue in ("one", "two"):
        channel.queue_declare(queue, durable=True, auto_delete=False)

    def have(action: str, queue: str) -> None:
        name = f'rabbit_misc:r(<<"{host}">>, queue, <<"{queue}">>)'
        server.control("eval", f"{{ok, Q}} = rabbit_amqqueue:lookup({name}), sys:{action}(amqqueue:get_pid(Q)).")

    def unconfirmed() -> int:
        return sum(map(int, server.control("list_channels", "--silent", "messages_unconfirmed").split()))

    have("suspend", "one")
    have("suspend", "two")
    publishing = Thread(target=publish, args=[channel, "two"])
    try:
        with short_of_disk(celery_broker), pytest.raises(rabbitmq.Blocked):
            publish(channel, "one")
        publishing.start()
        eventually(lambda: unconfirmed() == 2)
        have("resume", "one")
        eventually(lambda: unconfirmed() == 1)
        publishing.join(1)
        assert publishing.is_alive()
    finally:
        have("resume", "two")
    publishing.join()
    assert unconfirmed() == 0


def test_control_with_kombus_own_connection_a_nudge_waits_until_the_disk_has_room(
    celery_broker: RabbitMQNode, celery_setup_app: Celery, school: School, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pyamqp.Transport, "Connection", pyamqp.Connection)

    def nudge(event: UUID) -> None:
        nudges.evaluate([event])
        database_connection.close()

    nudging = Thread(target=nudge, args=[school.passes()])
    with short_of_disk(celery_broker):
        nudging.start()
        nudging.join(2 * rabbitmq.CONFIRM_SECONDS)
        assert nudging.is_alive()
    nudging.join()
    eventually(lambda: celery_broker.waiting("evaluate") == 1)


def test_while_the_disk_is_full_workers_do_what_they_got_and_end_in_time_and_after_it_all_goes_on(
    celery_broker: RabbitMQNode, celery_setup_app: Celery, start: Start, start_worker: StartWorker, school: School
):
    event = school.passes()
    nudges.persist([event])
    eventually(lambda: celery_broker.waiting("persist") == 1)
    with short_of_disk(celery_broker):
        worker = start_worker("worker")
        eventually(lambda: status(event) == "processed")
        worker.process.wait_for_output("The broker did not take 1 nudge(s) for issue (Blocked)")
        worker.process.send(signal.SIGTERM)
        worker.process.wait(CONTRACT_SECONDS)
    for process in ("worker", "credly", "beat"):
        start(process)
    eventually(nothing_waits)
    assert school.issued() == ["1"]


ANOTHER_NAME = "127.1"
"""Of the same machine; no certificate has it."""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def tls_url(celery_broker: RabbitMQNode, certificates: Certificates) -> Iterator[str]:
    """The broker over TLS, without a word about whom to trust."""
    with door(certificates, celery_broker.server.server.port) as port:
        yield f"amqps://guest:guest@127.0.0.1:{port}/{celery_broker.server.name}"


@pytest.mark.parametrize("trusting", ["its authority", "anybody"])
def test_over_tls_all_stages_run(
    tls_url: str,
    certificates: Certificates,
    celery_setup_app: Celery,
    start_worker: StartWorker,
    school: School,
    trusting: str,
):
    told = "ssl_cert_reqs=none" if trusting == "anybody" else f"ssl_ca_certs={certificates.authority}"
    for process in ("worker", "credly"):
        assert start_worker(process, CELERY_BROKER_URL=f"{tls_url}?{told}").ready()
    use_broker(celery_setup_app, f"{tls_url}?{told}")
    nudges.evaluate([school.passes()])
    eventually(nothing_waits)
    assert school.issued() == ["1"]


def test_a_broker_that_another_authority_signed_is_not_spoken_to(
    tls_url: str, celery_setup_app: Celery, tmp_path: Path, celery_broker: RabbitMQNode
):
    for url in (tls_url, f"{tls_url}?ssl_ca_certs={make_certificates(tmp_path).authority}"):
        use_broker(celery_setup_app, url)
        with pytest.raises(OperationalError, match="certificate verify failed"):
            nudges.ping()


def test_a_certificate_for_another_name_is_not_believed(
    tls_url: str, certificates: Certificates, celery_setup_app: Celery
):
    authority = f"?ssl_ca_certs={certificates.authority}"
    use_broker(celery_setup_app, tls_url + authority)
    nudges.ping()
    use_broker(celery_setup_app, tls_url.replace("127.0.0.1", ANOTHER_NAME) + authority)
    with pytest.raises(OperationalError, match="certificate verify failed"):
        nudges.ping()


def test_control_its_library_by_itself_believes_a_certificate_for_another_name(
    tls_url: str, certificates: Certificates, celery_setup_app: Celery
):
    use_broker(celery_setup_app, f"{tls_url.replace('127.0.0.1', ANOTHER_NAME)}?ssl_ca_certs={certificates.authority}")
    unnamed = {name: value for name, value in celery_setup_app.conf.broker_use_ssl.items() if name != "server_hostname"}
    celery_setup_app.conf.broker_use_ssl = unnamed
    nudges.ping()
