"""Template sync: what Credly says of an organization's badge templates, into our tables.

New templates arrive inactive, changed ones are updated, those no longer active at Credly are switched off.  Nothing is
ever deleted, for learners' progress hangs on it, and nothing is ever switched on.  Only what differs is written: each
write of configuration has every worker compile its rules anew.
"""

import logging
import time
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from pipeline.configuration import gate, keys, organizations, pace
from pipeline.configuration.difference import ADDED, CHANGED, Change, named, update
from pipeline.credly.client import CredlyClient, TemplateInfo
from pipeline.credly.outcomes import Confirmed, Outcome, Rejected, Throttled, Unauthorized, Unavailable
from pipeline.models import Organization, Template, TemplateState

logger = logging.getLogger(__name__)

LONGEST_SECONDS = 300.0
"""After this a sync gives up: it holds one of the threads that make all calls to Credly."""

LONGEST_WAIT = 30.0
"""Seconds that a call waits for its turn among the organization's calls."""

SHOWN_WITHIN = 30.0
"""Seconds after which Credly shows everywhere what it holds; of two looks closer together both may be a stale view."""

FORBIDDEN = 403
NOT_FOUND = 404

T = TypeVar("T")

Progress = Callable[[int, int], None]
"""Told after each call to Credly: how many calls are done, and how many there are as far as is known."""

_is_url = URLValidator(schemes=["http", "https"])


@dataclass(frozen=True)
class SyncResult:
    """What a sync came to.

    `flagged` names the active templates that allow duplicates and need none, `only_once` those that have one badge per value
    and do not allow them.  `failure` says in one line why Credly was not heard out and is empty if it was; `too_slow` that only
    the time was lacking; `reopened` that a key that was refused works again, so that the organization's badges need not wait
    any longer.
    """

    added: list[Change] = field(default_factory=list)
    changed: list[Change] = field(default_factory=list)
    withdrawn: list[Change] = field(default_factory=list)
    unchanged: int = 0
    flagged: list[str] = field(default_factory=list)
    only_once: list[str] = field(default_factory=list)
    failure: str = ""
    too_slow: bool = False
    reopened: bool = False

    @property
    def changes(self) -> list[Change]:
        """All that changed here."""
        return [*self.added, *self.changed, *self.withdrawn]


class _StoppedError(Exception):
    """Credly was not heard out; the message says why."""


class _TooSlowError(_StoppedError):
    """There was no time left."""


def take_over(organization: Organization, info: TemplateInfo) -> Change | None:
    """Insert a template (inactive) or update it from what Credly says.  May be repeated.

    A template that is not active at Credly is switched off.  One that is here under another organization stays there:
    Credly shows a template also to those to whom its owner granted it.

    Returns:
        What changed; None if nothing did.
    """
    wanted: dict[str, Any] = {
        "name": info.name[:255],
        "description": info.description,
        "image_url": _image_url(info.image_url),
        "state": _state(info.state),
        "allows_duplicates": info.allow_duplicate_badges,
    }
    with transaction.atomic():
        row, is_new = Template.objects.select_for_update().get_or_create(
            uuid=info.id, defaults={"organization": organization, "synced_at": timezone.now(), **wanted}
        )
        if is_new:
            return Change(ADDED, named(row), "not active until somebody activates it")
        return _update(row, wanted)


def withdraw(template: Template, state: TemplateState, why: str) -> Change | None:
    """The template is no longer active at Credly: take over its state and switch it off.  May be repeated.

    Nothing is deleted, and issued badges stay.

    Args:
        template: any copy of the row.
        state: its state at Credly; `archived` for one that is gone.
        why: what Credly says, for people.

    Returns:
        What changed; None if nothing did.
    """
    with transaction.atomic():
        row = Template.objects.select_for_update().get(pk=template.pk)
        change = _update(row, {"state": state})
    return replace(change, detail=f"{change.detail} ({why})") if change else None


def sync(
    organization: Organization, progress: Progress | None = None, *, seconds: float = LONGEST_SECONDS
) -> SyncResult:
    """Bring the organization's templates here in line with Credly's.

    1. Leave Credly alone while it refuses the organization's key.
    2. Read all active templates; Credly's answer reopens the gate, a refused key closes it.
    3. Take over each.
    4. Learn when the key expires, and the organization's name if it has none here.
    5. Look up those of ours that were not listed (one may slip from page to page while they are read), and withdraw
       those that Credly calls archived or draft, or does not know at two looks half a minute apart.
    6. Record when this was, or why it failed.

    Each step may be repeated, and two syncs at once are harmless.  What was done before a failure stays.

    Args:
        organization: as it is now in the database.
        progress: told after each call.
        seconds: after these no further call is begun.
    """
    result = SyncResult()
    try:
        calls = _Calls(organization, _client(organization), progress, seconds)
        listed = calls.active_templates()
        result = replace(_compared(listed), reopened=gate.answered(organization))
        for info in listed:
            result = _noted(result, take_over(organization, info))
        keys.learn(organization, calls.client)
        _learn_name(organization, calls.client)
        unlisted = _unlisted(organization, {info.id for info in listed})
        result, unknown = _looked_up(calls, result, unlisted)
        if unknown:
            calls.wait_for_second_look(len(unknown))
            result, gone = _looked_up(calls, result, unknown)
            for template in gone:
                result = _withdrawn(result, template, TemplateState.ARCHIVED, "Credly does not know it any more")
    except _StoppedError as stopped:
        result = replace(result, failure=str(stopped), too_slow=isinstance(stopped, _TooSlowError))
    _record(organization, result)
    return result


class _Calls:
    """The calls of one sync, each made only while there is time and told to `progress`.

    Every method raises _StoppedError for whatever keeps Credly from being heard out.
    """

    def __init__(
        self, organization: Organization, client: CredlyClient, progress: Progress | None, seconds: float
    ) -> None:
        self.client = client
        self._organization = organization
        self._progress = progress
        self._done = 0
        self._seconds = seconds
        self._until = time.monotonic() + seconds

    def active_templates(self) -> list[TemplateInfo]:
        """All active templates that Credly lists."""
        found: list[TemplateInfo] = []
        for outcome in self.client.template_pages(TemplateState.ACTIVE):
            page = self._heard(outcome)
            found += page.items
            self._count(1 if page.total_pages is None else max(page.total_pages - self._done - 1, 0))
        return found

    def template(self, template_id: uuid.UUID, *, more: int) -> TemplateInfo | None:
        """One template, None if Credly knows no such; `more` calls are to follow."""
        outcome = self.client.template(template_id)
        is_unknown = isinstance(outcome, Rejected) and outcome.status == NOT_FOUND
        info = None if is_unknown else self._heard(outcome)
        self._count(more)
        return info

    def wait_for_second_look(self, unknown: int) -> None:
        """Until what Credly did not show may be asked for once more, if there is time for that."""
        if time.monotonic() + SHOWN_WITHIN > self._until:
            raise _TooSlowError(f"Credly does not know {unknown} of the templates: to be looked for once more later.")
        time.sleep(SHOWN_WITHIN)
        _wait_for_turn(self._organization)

    def _heard(self, outcome: Outcome[T]) -> T:
        if isinstance(outcome, Confirmed):
            return outcome.value
        if isinstance(outcome, Unauthorized) and not self._only_forbidden(outcome):
            gate.refused(self._organization, outcome.message)
        elif isinstance(outcome, Throttled):
            gate.throttled(self._organization, outcome.retry_after)
        elif isinstance(outcome, Unavailable):
            gate.failed(self._organization)
        raise _StoppedError(organizations.reason(outcome))

    def _only_forbidden(self, refusal: Unauthorized) -> bool:
        """Whether the key works, and only that call is not for it."""
        return refusal.status == FORBIDDEN and isinstance(self.client.organization(), Confirmed)

    def _count(self, more: int) -> None:
        self._done += 1
        if self._progress:
            self._progress(self._done, self._done + more)
        if more:
            _wait_for_turn(self._organization)
        if more and time.monotonic() > self._until:
            raise _TooSlowError(f"Credly took longer than {self._seconds:.0f} seconds.")


def _compared(listed: Collection[TemplateInfo]) -> SyncResult:
    """Which templates allow more badges of a learner, or fewer, than they are to have here."""
    many = set(Template.objects.exclude(per="").values_list("uuid", flat=True))
    return SyncResult(
        flagged=[info.name for info in listed if info.allow_duplicate_badges and info.id not in many],
        only_once=[info.name for info in listed if not info.allow_duplicate_badges and info.id in many],
    )


def _client(organization: Organization) -> CredlyClient:
    try:
        client = organizations.client(organization)
    except organizations.KeyMissing as missing:
        raise _StoppedError(str(missing)) from missing
    closed_until = gate.closed_until(organization)
    if closed_until:
        raise _StoppedError(
            f"Credly is not called: {gate.words(organization)} To be tried again after {closed_until:%H:%M:%S} UTC."
        )
    _wait_for_turn(organization)
    return client


def _wait_for_turn(organization: Organization) -> None:
    if not pace.wait(organization, LONGEST_WAIT):
        raise _StoppedError("Too many other calls are to be made for this organization.")


def _unlisted(organization: Organization, listed: Collection[uuid.UUID]) -> list[Template]:
    """The organization's templates that are active here, as their state or as our switch, and that Credly did not list."""
    rows = Template.objects.filter(Q(active=True) | Q(state=TemplateState.ACTIVE), organization=organization)
    return [row for row in rows if row.uuid not in listed]


def _looked_up(calls: _Calls, result: SyncResult, templates: Collection[Template]) -> tuple[SyncResult, list[Template]]:
    """Ask for each of these alone, and take over what Credly says.  Returns the result, and those that Credly does not know."""
    unknown = []
    for number, template in enumerate(templates):
        info = calls.template(template.uuid, more=len(templates) - number - 1)
        if info is None:
            unknown.append(template)
        elif info.state == TemplateState.ACTIVE:
            result = _noted(result, take_over(template.organization, info))
        else:
            result = _withdrawn(result, template, _state(info.state), f"Credly calls it {info.state}")
    return result, unknown


def _withdrawn(result: SyncResult, template: Template, state: TemplateState, why: str) -> SyncResult:
    change = withdraw(template, state, why)
    return replace(result, withdrawn=[*result.withdrawn, change]) if change else _noted(result, None)


def _noted(result: SyncResult, change: Change | None) -> SyncResult:
    if change is None:
        return replace(result, unchanged=result.unchanged + 1)
    if change.sign == ADDED:
        return replace(result, added=[*result.added, change])
    return replace(result, changed=[*result.changed, change])


def _learn_name(organization: Organization, client: CredlyClient) -> None:
    if organization.name:
        return
    outcome = client.organization()
    if isinstance(outcome, Confirmed):
        Organization.objects.filter(pk=organization.pk, name="").update(name=outcome.value.name[:255])


def _record(organization: Organization, result: SyncResult) -> None:
    """Note in the organization's row when it was synced, or why it could not be; the time of the last sync then stays."""
    changes: dict[str, Any] = {"sync_error": result.failure}
    if not result.failure:
        changes["synced_at"] = timezone.now()
    Organization.objects.filter(pk=organization.pk).update(**changes)


def _update(row: Template, wanted: dict[str, Any]) -> Change | None:
    """Write what differs; one that is not active at Credly is not active here.  When it was last seen is no change."""
    if wanted["state"] != TemplateState.ACTIVE:
        wanted = {**wanted, "active": False}
    subject, was_active = named(row), row.active
    differing = update(row, wanted)
    if was_active and not row.active:
        logger.warning(
            "Template %s is deactivated, for it is %s at Credly: nobody earns its badge now.", row.uuid, row.state
        )
    Template.objects.filter(pk=row.pk).update(synced_at=timezone.now())
    return Change(CHANGED, subject, differing) if differing else None


def _state(state: str) -> TemplateState:
    """Credly's word as one of ours: a state that is new to us is none in which badges can be issued."""
    return TemplateState(state) if state in TemplateState.values else TemplateState.ARCHIVED


def _image_url(url: str) -> str:
    """The URL; empty if it is none that the table takes."""
    try:
        _is_url(url)
    except ValidationError:
        return ""
    return url if len(url) <= 1000 else ""
