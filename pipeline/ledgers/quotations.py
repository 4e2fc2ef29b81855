"""Quotations: texts and messages outside the payloads that name a person, and how the person is removed from them."""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, Q, QuerySet

from pipeline.bus.codec import decode_raw
from pipeline.ledgers.pseudonyms import Identity
from pipeline.models import (
    Badge,
    BadgeHistory,
    Event,
    EventStatus,
    Fulfillment,
    Learner,
    Occurrence,
    Signal,
    Webhook,
)
from pipeline.rules import LONGEST_TEXT_OF_VALUE

CHUNK = 500
"""Rows read at a time."""


def remove(identity: Identity, learner: Learner) -> int:
    """Remove a person from every text that quotes them; returns how many rows that changed.  May be repeated.

    1. Texts about the person and their badges lose username, e-mail and name.
    2. Texts that may be about anybody lose the e-mail only: a username or a name in them may be another word, or another's.
    3. The matched rules of the person's progress lose what they compare with, and what they counted what it was told apart by.

    The errors and notes of the events that name them are not among them.
    """
    if not identity.quotable:
        return 0
    changed = sum(
        remove_from(row, fields, identity.removed_from_text)
        for rows, fields in _texts_about(learner)
        for row in rows.iterator(CHUNK)
    )
    changed += sum(
        remove_from(row, fields, identity.address_removed_from_text)
        for rows, fields in _texts_about_anybody()
        for row in rows.filter(_quoting(identity.emails, fields)).iterator(CHUNK)
    )
    return changed + _remove_from_matched(identity, learner) + _remove_from_counted(identity, learner)


def remove_from(row: Model, fields: Sequence[str], removed: Callable[[str], str]) -> bool:
    """Remove a person from these texts of a row; one that was written anew meanwhile stays.  Says whether any changed.

    Args:
        row: any.
        fields: its texts.
        removed: the text without the person.
    """
    changed = 0
    for field in fields:
        before = getattr(row, field)
        after = _removed_from_log(before, removed) if isinstance(row, LogEntry) else removed(before)
        if after != before:
            longest = getattr(row._meta.get_field(field), "max_length", None)
            rows = type(row)._default_manager.filter(pk=row.pk, **{field: before})
            changed += rows.update(**{field: after[:longest]})
    return changed > 0


def empty_unreadable(identity: Identity) -> int:
    """Empty the messages that can't be read and hold the person's username or e-mail; returns how many.

    What such a message says cannot be told apart, so all of it goes.  May be repeated.
    """
    emptied = 0
    unreadable = Event.objects.filter(status=EventStatus.FAILED, raw__isnull=False).exclude(raw=b"")
    for event in unreadable.only("raw", "note").iterator(CHUNK):
        if any(identity.is_in(part) for part in _parts(bytes(event.raw or b""))):
            note = f"Emptied when the learner {identity.lms_user_id} was retired, whom it named."
            emptied += Event.objects.filter(pk=event.pk).update(raw=b"", note=f"{event.note} {note}".strip())
    return emptied


def _parts(raw: bytes) -> Iterator[bytes]:
    try:
        yield from decode_raw(raw).values()
    except ValueError:
        yield raw


def _removed_from_log(message: str, removed: Callable[[str], str]) -> str:
    """A message of the admin's log; of one that Django wrote as JSON, what it calls a row and nothing else."""
    try:
        parts = json.loads(message) if message.startswith("[") else None
    except ValueError:
        parts = None
    if parts is None:
        return removed(message)
    called = [
        details
        for part in parts
        if isinstance(part, dict)
        for details in part.values()
        if isinstance(details, dict) and isinstance(details.get("object"), str)
    ]
    before = [details["object"] for details in called]
    for details in called:
        details["object"] = removed(details["object"])
    return message if before == [details["object"] for details in called] else json.dumps(parts)


def _texts_about(learner: Learner) -> Iterator[tuple[QuerySet[Any], tuple[str, ...]]]:
    """Rows of the learner and their badges, with their texts."""
    yield Badge.objects.filter(learner=learner), ("error", "revocation_reason")
    yield BadgeHistory.objects.filter(badge__learner=learner), ("outcome",)
    yield Signal.objects.filter(badge__learner=learner), ("error",)
    of = ContentType.objects.get_for_model
    badges = [str(pk) for pk in Badge.objects.filter(learner=learner).values_list("pk", flat=True)]
    about = Q(content_type=of(Learner), object_id=str(learner.pk)) | Q(content_type=of(Badge), object_id__in=badges)
    yield LogEntry.objects.filter(about), ("change_message",)


def _texts_about_anybody() -> Iterator[tuple[QuerySet[Any], tuple[str, ...]]]:
    """Rows that belong to no learner, or to another one, with their texts."""
    yield Event.objects.filter(status__in=(EventStatus.FAILED, EventStatus.RECEIVED)), ("error", "note")
    yield Webhook.objects.all(), ("error", "outcome")
    yield LogEntry.objects.all(), ("change_message",)


def _quoting(texts: Collection[str], fields: Sequence[str]) -> Q:
    quoting = Q(pk__in=[])
    for field in fields:
        for text in texts:
            quoting |= Q(**{f"{field}__icontains": text})
    return quoting


def _remove_from_matched(identity: Identity, learner: Learner) -> int:
    """A rule may compare with the person's e-mail or name."""
    changed = 0
    for row in Fulfillment.objects.filter(progress__learner=learner).iterator(CHUNK):
        rules = [
            [path, operator, identity.removed_from_value(path, value)] for path, operator, value in row.matched["rules"]
        ]
        if rules != row.matched["rules"]:
            rows = Fulfillment.objects.filter(pk=row.pk, event=row.event)
            changed += rows.update(matched=row.matched | {"rules": rules})
    return changed


def _remove_from_counted(identity: Identity, learner: Learner) -> int:
    """Events may be told apart by a text that somebody wrote."""
    changed = 0
    counted = Occurrence.objects.filter(progress__learner=learner, value__isnull=False).exclude(value="")
    for pk, path, value in counted.values_list("pk", "requirement__distinct", "value").iterator(CHUNK):
        after = identity.removed_from_value(path, value or "")[:LONGEST_TEXT_OF_VALUE]
        if after != value:
            changed += Occurrence.objects.filter(pk=pk).update(value=after)
    return changed
