"""What the pipeline remembers: events, learners, progress, badges and signals.

Constraints carry uniqueness, so no code checks first and inserts then.  A row with work to do says when it is due; losing
every queued message therefore loses nothing.
"""

import uuid

from django.db import models
from django.db.models import Q

from pipeline.models.configuration import Requirement, Template


class EventStatus(models.TextChoices):
    """Where an event of the inbox stands."""

    RECEIVED = "received"  # stored; its rules are not evaluated and persisted yet
    PROCESSED = "processed"  # it met at least one requirement or penalty, and progress shows it
    IGNORED = "ignored"  # nobody subscribed to its type, or no active rule matched it
    FAILED = "failed"  # refused or given up; `error` says why, and a person can redrive it


class Event(models.Model):
    """One message of the event bus: the inbox."""

    id = models.UUIDField(primary_key=True, editable=False)
    type = models.CharField(max_length=255)
    time = models.DateTimeField(help_text="The event's own time; for a message that can't be read, when it came.")
    source = models.CharField(max_length=255, blank=True)
    topic = models.CharField(max_length=255)
    position = models.CharField(max_length=64, help_text="Where on the bus: the stream's entry id.")
    payload = models.JSONField(default=dict, help_text="The value of the signal's data argument.")
    raw = models.BinaryField(null=True, help_text="The message as it came, when it can't be read.")
    status = models.CharField(max_length=10, choices=EventStatus, default=EventStatus.RECEIVED)
    attempts = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)
    note = models.TextField(blank=True)
    received_at = models.DateTimeField(auto_now_add=True)
    due_at = models.DateTimeField(null=True, help_text="When housekeeping sends it to evaluation again.")

    class Meta:
        indexes = [
            models.Index(fields=["due_at"], name="event_due", condition=Q(due_at__isnull=False)),
            models.Index(fields=["status"], name="event_status"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"


class ConsumerGroup(models.Model):
    """A consumer group of ours on the bus, so that the status page knows whose backlog to count."""

    topic = models.CharField(max_length=255)
    group = models.CharField(max_length=255)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["topic", "group"], name="consumer_group_unique")]

    def __str__(self) -> str:
        return f"{self.group} on {self.topic}"


class Learner(models.Model):
    """A learner as the newest event shows them.  Apart from Django's User, which is for staff."""

    lms_user_id = models.BigIntegerField(unique=True)
    username = models.CharField(max_length=255, db_index=True)
    # As they came: a shortened address would be another person's.
    email = models.TextField(blank=True)
    name = models.TextField(blank=True)
    active = models.BooleanField(default=True)
    as_of = models.DateTimeField(help_text="Time of the event that these values come from.")
    as_of_event = models.UUIDField()

    def __str__(self) -> str:
        return f"learner {self.lms_user_id}"


class Progress(models.Model):
    """A learner on the way to a template's badge."""

    learner = models.ForeignKey(Learner, on_delete=models.CASCADE, related_name="progress")
    template = models.ForeignKey(Template, on_delete=models.CASCADE, related_name="progress")

    class Meta:
        verbose_name_plural = "progress"
        constraints = [models.UniqueConstraint(fields=["learner", "template"], name="progress_unique")]

    def __str__(self) -> str:
        return f"progress {self.pk}"


class Fulfillment(models.Model):
    """What the newest matching event decided about a requirement for a learner: fulfilled or reset."""

    progress = models.ForeignKey(Progress, on_delete=models.CASCADE, related_name="fulfillments")
    requirement = models.ForeignKey(Requirement, on_delete=models.CASCADE, related_name="fulfillments")
    fulfilled = models.BooleanField()
    event = models.UUIDField(help_text="The event that decided it; events are purged before progress is.")
    time = models.DateTimeField(help_text="That event's time.")
    matched = models.JSONField(help_text="The requirement or penalty and its rules as they stood then.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["progress", "requirement"], name="fulfillment_unique")]

    def __str__(self) -> str:
        return f"fulfillment {self.pk}"


class DueWork(models.Model):
    """Columns of a row with work that is claimed, tried, and tried again when it is due.

    `due_at` empty means that nothing is to be done.  A claim is the right to work on the row until `claimed_until`; who
    dies with it delays the row until then and no longer.  `nudged_at` keeps housekeeping from filling the queue with the
    same row while the workers are busy.
    """

    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(null=True)
    claim = models.UUIDField(null=True, editable=False)
    claimed_until = models.DateTimeField(null=True, editable=False)
    nudged_at = models.DateTimeField(null=True, editable=False)
    error = models.TextField(blank=True)

    class Meta:
        abstract = True


class Standing(models.TextChoices):
    """What the rules say of a badge."""

    AWARDED = "awarded"
    REVOKED = "revoked"


class CredlyState(models.TextChoices):
    """What Credly holds of a badge, as far as we know."""

    NONE = "none"  # nothing was ever sent, or it is sure that Credly holds nothing
    ISSUING = "issuing"  # a call to issue is out, or its answer never came
    PENDING = "pending"  # Credly holds it, the learner has not acted
    ACCEPTED = "accepted"
    REJECTED = "rejected"  # Credly holds it, the learner declined it
    REVOKING = "revoking"  # a call to revoke is out, or its answer never came
    REVOKED = "revoked"
    FAILED = "failed"  # Credly refused for good; `error` says why


class Badge(DueWork):
    """A badge of a learner: what it should be (`standing`) and what Credly holds (`credly_state`).

    With `reaward` a badge earned again after a revocation is a new row with the next `cycle`.
    """

    uuid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    learner = models.ForeignKey(Learner, on_delete=models.PROTECT, related_name="badges")
    template = models.ForeignKey(Template, on_delete=models.PROTECT, related_name="badges")
    cycle = models.PositiveIntegerField(default=1)
    standing = models.CharField(max_length=10, choices=Standing, default=Standing.AWARDED)
    credly_state = models.CharField(max_length=10, choices=CredlyState, default=CredlyState.NONE)
    credly_id = models.UUIDField(null=True, unique=True, editable=False)
    earned_at = models.DateTimeField(help_text="Time of the event that completed it.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["learner", "template", "cycle"], name="badge_cycle_unique"),
            models.UniqueConstraint(
                fields=["learner", "template"],
                condition=Q(standing=Standing.AWARDED),
                name="badge_awarded_once",
            ),
            models.UniqueConstraint(
                fields=["learner", "template"],
                condition=Q(credly_state__in=("issuing", "pending", "accepted", "rejected", "revoking")),
                name="badge_live_once",
            ),
        ]
        indexes = [models.Index(fields=["due_at"], name="badge_due", condition=Q(due_at__isnull=False))]

    def __str__(self) -> str:
        return f"badge {self.uuid}"


class BadgeHistory(models.Model):
    """One change of a badge or one call to Credly about it.  Rows are only ever added."""

    badge = models.ForeignKey(Badge, on_delete=models.CASCADE, related_name="history")
    at = models.DateTimeField(auto_now_add=True)
    what = models.CharField(max_length=50)
    outcome = models.TextField(blank=True)
    event = models.UUIDField(null=True, help_text="The event that caused it, if one did.")

    class Meta:
        verbose_name_plural = "badge history"
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.what} {self.at:%Y-%m-%d %H:%M:%S}"


class SignalState(models.TextChoices):
    """Where a signal stands."""

    PENDING = "pending"
    SENT = "sent"
    DISABLED = "disabled"  # EVENT_BUS_PRODUCER_CONFIG sends this type nowhere
    FAILED = "failed"  # it can't be put on the bus; `error` says why


class Signal(DueWork):
    """A `badge.awarded` or `badge.revoked` to put on the event bus: the outbox.

    Written in the transaction that records the fact it tells; a badge tells each fact once.
    """

    id = models.BigAutoField(primary_key=True)
    uuid = models.UUIDField(unique=True, default=uuid.uuid4, help_text="The event's own metadata id.")
    badge = models.ForeignKey(Badge, on_delete=models.PROTECT, related_name="signals")
    event_type = models.CharField(max_length=255)
    payload = models.JSONField()
    state = models.CharField(max_length=10, choices=SignalState, default=SignalState.PENDING)
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["badge", "event_type"], name="signal_once_per_badge")]
        indexes = [models.Index(fields=["due_at"], name="signal_due", condition=Q(due_at__isnull=False))]

    def __str__(self) -> str:
        return f"{self.event_type} {self.uuid}"
