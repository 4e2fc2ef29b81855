"""What came from the bus: events, who reads them, and what was lost before it was read."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from pipeline.models.columns import initially


class EventStatus(models.TextChoices):
    """Where an event of the inbox stands."""

    RECEIVED = "received", _("received")  # stored; its rules are not evaluated and persisted yet
    PROCESSED = "processed", _("processed")  # it met at least one requirement or penalty, and progress shows it
    IGNORED = "ignored", _("ignored")  # nobody subscribed to its type, or no active rule matched it
    FAILED = "failed", _("failed")  # refused or given up; `error` says why, and a person can redrive it


class Event(models.Model):
    """One message of the event bus: the inbox."""

    id = models.UUIDField(primary_key=True, editable=False)
    type = models.CharField(_("type"), max_length=255)
    time = models.DateTimeField(
        _("time"), help_text=_("The event's own time; for a message that can't be read, when it came.")
    )
    source = models.CharField(_("source"), max_length=255, blank=True)
    topic = models.CharField(_("topic"), max_length=255)
    position = models.CharField(
        _("position"), max_length=64, help_text=_("Where on the bus: the stream's entry id, or partition and offset.")
    )
    lms_user_id = models.BigIntegerField(_("LMS user id"), null=True, help_text=_("The learner it is about."))
    payload = models.JSONField(_("payload"), default=dict, help_text=_("The value of the signal's data argument."))
    raw = models.BinaryField(null=True, help_text=_("The message as it came, when it can't be read."))
    status = models.CharField(_("status"), max_length=10, choices=EventStatus, **initially(EventStatus.RECEIVED))
    attempts = models.PositiveIntegerField(_("attempts"), **initially(0))
    error = models.TextField(_("error"), blank=True, **initially(""))
    traceback = models.TextField(
        _("traceback"), blank=True, help_text=_("Where in our code the last failure struck."), **initially("")
    )
    note = models.TextField(_("note"), blank=True, **initially(""))
    received_at = models.DateTimeField(_("received"), auto_now_add=True)
    due_at = models.DateTimeField(_("due"), null=True, help_text=_("When housekeeping sends it to evaluation again."))
    claimed_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        indexes = [
            models.Index(fields=["due_at"], name="event_due", condition=Q(due_at__isnull=False)),
            models.Index(fields=["status", "received_at"], name="event_status_received"),
            models.Index(fields=["received_at"], name="event_received"),
            models.Index(fields=["lms_user_id", "time"], name="event_learner_time"),
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


class Gap(models.Model):
    """Messages that the bus trimmed before a consumer group of ours had read them: lost, unless the LMS sends them again."""

    topic = models.CharField(_("topic"), max_length=255)
    group = models.CharField(_("group"), max_length=255)
    after = models.CharField(_("after"), max_length=64, help_text=_("The last entry that the group had read."))
    before = models.CharField(
        _("before"), max_length=64, help_text=_("The first entry that was still there; empty if the bus had lost all.")
    )
    messages = models.PositiveBigIntegerField(
        _("messages"), null=True, help_text=_("How many were lost; empty if the bus can't tell.")
    )
    lost_from = models.DateTimeField(_("lost from"), null=True)
    lost_until = models.DateTimeField(_("lost until"), null=True)
    found_at = models.DateTimeField(_("found"), auto_now_add=True)
    settled_at = models.DateTimeField(
        _("settled"), null=True, help_text=_("When an operator said that it is dealt with.")
    )

    class Meta:
        verbose_name = _("gap")
        verbose_name_plural = _("gaps")
        ordering = ["-found_at"]
        constraints = [models.UniqueConstraint(fields=["topic", "group", "after", "before"], name="gap_once")]

    def __str__(self) -> str:
        return f"{self.topic} after {self.after}"
