"""The gate in front of Credly, one per organization, shared by all processes through the organization's row.

It closes while Credly refuses the key, fails one call after the other (a circuit breaker) or asks for fewer calls.  Then
nothing goes through but one probe now and then, and a probe that Credly answers opens it.  The row is read with every badge,
so an answer that follows an answer costs no query.

Every function takes the organization as it was read before the call: that copy tells whether the call was a probe.
"""

import logging
from datetime import datetime, timedelta

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from pipeline.models import GateReason, Organization

logger = logging.getLogger(__name__)

MOST_FAILURES = 50
"""Calls that failed in a row, with no answer between them, close the gate."""

PROBE_LASTS = timedelta(seconds=60)
"""A probe without result keeps others out for so long: longer than a call, so there is one at a time.  Also how long a
refused key is left alone."""

FIRST_PROBE_WAIT = timedelta(seconds=10)
LONGEST_PROBE_WAIT = timedelta(seconds=60)
"""Between probes while Credly fails: doubling from the one to the other."""

FIRST_THROTTLE = timedelta(seconds=30)
LONGEST_THROTTLE = timedelta(minutes=15)
"""How long Credly is left alone that asked for fewer calls: as long as it says, up to the longest; without a time from it
doubling from the one to the other."""

WORDS = {
    GateReason.KEY_REFUSED: "the organization has no working API key.",
    GateReason.FAILING: "it failed one call after the other.",
    GateReason.THROTTLED: "it asked for fewer calls.",
}
"""Why Credly is not called, to go after "Credly is not called for now:" and the like."""

FIELDS = ("gate_reason", "gate_closed_at", "call_again_at", "failures")
"""What the gate keeps in the organization's row."""

_OPEN = Q(gate_reason="")


def reason(organization: Organization) -> GateReason | None:
    """Why the gate is closed; None if it is open."""
    return GateReason(organization.gate_reason) if organization.gate_reason else None


def words(organization: Organization) -> str:
    """Why the gate is closed, as the end of a sentence; empty if it is open."""
    why = reason(organization)
    return WORDS[why] if why else ""


def closed_until(organization: Organization) -> datetime | None:
    """None if a call may be made now, else when to ask again.

    Once the time that Credly asked for is over all get through.  Of a gate that is closed for another reason one caller gets
    through when its time has come, as a probe: the conditional update picks it.  It must
    then tell what came of it (`answered`, `failed`, `throttled`, `refused`), or `pass_on`.
    """
    why, named, now = reason(organization), organization.call_again_at, timezone.now()
    if why is None or (why == GateReason.THROTTLED and (named is None or named <= now)):
        return None
    is_time = Q(call_again_at__lte=now) | Q(call_again_at=None)
    if _row(organization).filter(is_time).exclude(_OPEN).update(call_again_at=now + PROBE_LASTS):
        return None
    return named if named and named > now else now + FIRST_PROBE_WAIT


def pass_on(organization: Organization) -> None:
    """No call was made after all: if it was to be the probe, the next caller may be it.  May be repeated."""
    if reason(organization) not in (None, GateReason.THROTTLED):
        _row(organization).exclude(_OPEN).update(call_again_at=timezone.now())


def answered(organization: Organization) -> bool:
    """Credly took the key and answered, be it with a refusal of that very call.  May be repeated.

    1. Forget the failures in a row.
    2. Open the gate, if the call was a probe.

    Returns:
        Whether the gate was closed until now: what it held back need not wait any longer.
    """
    was_probe = reason(organization) is not None
    if not was_probe:
        if organization.failures:
            _row(organization).filter(_OPEN).update(failures=0)
        return False
    opened = _spoken_for(organization).update(gate_reason="", failures=0, gate_closed_at=None, call_again_at=None)
    if opened:
        logger.warning("Credly answers organization %s again; its badges go on.", organization.uuid)
    organization.gate_reason, organization.gate_closed_at, organization.failures = "", None, 0
    return bool(opened)


def failed(organization: Organization) -> None:
    """Credly gave no usable answer.  To be told once per call.

    1. Count it.  A call that went out before the gate closed does not count any more.
    2. Close the gate if that was one too many; after a probe let the next one wait longer.
    """
    now = timezone.now()
    why = reason(organization)
    if why is GateReason.THROTTLED:  # whose time is over: it is open again, and this is its first failure
        _spoken_for(organization).update(gate_reason="", gate_closed_at=None, call_again_at=None)
    elif why and _keep_closed(organization, GateReason.FAILING, now + _probe_wait(organization.failures + 1)):
        return
    rows = _row(organization).filter(_OPEN)
    rows.update(failures=F("failures") + 1)
    closed = {"gate_reason": GateReason.FAILING, "gate_closed_at": now, "call_again_at": now + FIRST_PROBE_WAIT}
    if rows.filter(failures__gte=MOST_FAILURES).update(**closed):
        logger.error(
            "Credly failed organization %s %s times in a row.  Its badges wait, and go on by themselves.",
            organization.uuid,
            MOST_FAILURES,
        )


def throttled(organization: Organization, seconds: float | None) -> None:
    """Credly asked for fewer calls: make none for a while.  To be told once per call.

    Args:
        organization: whose call it was.
        seconds: for how long, as Credly says; None if it does not.
    """
    doubled = FIRST_THROTTLE * (1 << min(organization.failures, 10))
    now = timezone.now()
    until = now + min(doubled if seconds is None else timedelta(seconds=seconds), LONGEST_THROTTLE)
    if reason(organization) and _keep_closed(organization, GateReason.THROTTLED, until):
        return
    closed = (
        _row(organization)
        .filter(_OPEN)
        .update(gate_reason=GateReason.THROTTLED, gate_closed_at=now, failures=F("failures") + 1, call_again_at=until)
    )
    if closed:
        logger.warning("Credly asked for fewer calls of organization %s; none before %s.", organization.uuid, until)


def refused(organization: Organization, why: str) -> datetime:
    """The key does not work, or there is none.  Returns when to ask again.  May be repeated.

    `why` goes into the log.
    """
    now = timezone.now()
    next_probe = now + PROBE_LASTS
    newly = (
        _row(organization)
        .exclude(gate_reason=GateReason.KEY_REFUSED)
        .update(gate_reason=GateReason.KEY_REFUSED, gate_closed_at=now, call_again_at=next_probe)
    )
    if newly:
        logger.error(
            "Organization %s has no working API key (%s). Its badges wait, and go on by themselves once it has.",
            organization.uuid,
            why,
        )
    return next_probe


def _row(organization: Organization) -> QuerySet[Organization]:
    return Organization.objects.filter(pk=organization.pk)


def _spoken_for(organization: Organization) -> QuerySet[Organization]:
    """The closed gate, if this call may speak for it.

    The probe may; after a time that Credly named, when all get through, the first that tells.
    """
    closed = _row(organization).exclude(_OPEN)
    if reason(organization) is GateReason.THROTTLED:
        return closed.filter(gate_reason=GateReason.THROTTLED, call_again_at=organization.call_again_at)
    return closed


def _keep_closed(organization: Organization, why: GateReason, until: datetime) -> bool:
    """The call brought no answer; of a refused key that says nothing new.  Says whether it spoke for the gate."""
    still = GateReason.KEY_REFUSED if reason(organization) is GateReason.KEY_REFUSED else why
    return bool(_spoken_for(organization).update(gate_reason=still, failures=F("failures") + 1, call_again_at=until))


def _probe_wait(failures: int) -> timedelta:
    doublings = min(max(failures - MOST_FAILURES, 0), 10)
    return min(FIRST_PROBE_WAIT * (1 << doublings), LONGEST_PROBE_WAIT)
