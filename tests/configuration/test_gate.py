"""The gate when many callers hold a copy of the row as it was before their calls: who may speak for it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from pipeline.configuration import gate
from pipeline.models import GateReason, Organization
from tests.ledgers.builders import organization

pytestmark = pytest.mark.django_db


def copy_of(row: Organization) -> Organization:
    return Organization.objects.get(pk=row.pk)


def seconds_closed(row: Organization) -> float:
    until = gate.closed_until(copy_of(row))
    return (until - timezone.now()).total_seconds() if until else 0.0


def its_time_is_over(row: Organization) -> None:
    Organization.objects.filter(pk=row.pk).update(call_again_at=timezone.now())


@pytest.fixture
def throttled_before() -> tuple[Organization, Organization, Organization]:
    """An organization whose throttle is over, and two callers that the gate has let through."""
    row = organization()
    gate.throttled(copy_of(row), 5)
    its_time_is_over(row)
    first, second = copy_of(row), copy_of(row)
    assert gate.closed_until(first) is None
    assert gate.closed_until(second) is None
    return row, first, second


@pytest.mark.parametrize("tell", [gate.pass_on, gate.answered, gate.failed, lambda row: gate.throttled(row, 1)])
def test_what_credly_asks_of_one_caller_is_not_undone_by_another_that_was_let_through_beside_it(throttled_before, tell):
    row, first, second = throttled_before
    gate.throttled(first, 600)
    tell(second)
    assert seconds_closed(row) > 590
    assert copy_of(row).gate_reason == GateReason.THROTTLED


def test_nor_is_a_refused_key(throttled_before):
    row, first, second = throttled_before
    gate.refused(first, "expired")
    gate.pass_on(second)
    assert seconds_closed(row) > 0


def test_a_throttle_counts_also_after_another_caller_has_been_answered(throttled_before):
    row, first, second = throttled_before
    gate.answered(first)
    assert seconds_closed(row) == 0
    gate.throttled(second, 600)
    assert seconds_closed(row) > 590


def test_throttles_without_a_time_double_however_many_callers_meet_each():
    row = organization()
    gate.throttled(copy_of(row), None)
    waits = [seconds_closed(row)]
    for _ in range(3):
        its_time_is_over(row)
        for caller in [copy_of(row) for _ in range(20)]:
            gate.throttled(caller, None)
        waits.append(seconds_closed(row))
    assert [round(wait) for wait in waits] == [30, 60, 120, 240]


def test_a_probe_that_was_not_made_lets_the_next_caller_be_it():
    row = organization()
    gate.refused(copy_of(row), "expired")
    its_time_is_over(row)
    probe = copy_of(row)
    assert gate.closed_until(probe) is None
    assert timedelta(seconds=seconds_closed(row)) > timedelta(0)
    gate.pass_on(probe)
    assert seconds_closed(row) == 0


def test_a_failure_after_a_throttle_is_over_does_not_close_the_gate_again(throttled_before):
    row, first, _ = throttled_before
    gate.failed(first)
    assert seconds_closed(row) == 0
    assert copy_of(row).gate_reason == ""
