"""What the pipeline remembers: learners, progress, badges and signals.

Constraints carry uniqueness, so no code checks first and inserts then.  A row with work to do says when it is due; losing
every queued message therefore loses nothing.
"""

import uuid

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from pipeline.models.columns import initially
from pipeline.models.configuration import Organization, Requirement, Template
from pipeline.rules import LONGEST_TEXT_OF_VALUE


class Learner(models.Model):
    """A learner as the newest event shows them.  Apart from Django's User, which is for staff."""

    lms_user_id = models.BigIntegerField(_("LMS user id"), unique=True)
    username = models.CharField(_("username"), max_length=255, db_index=True)
    # As they came: a shortened address would be another person's.
    email = models.TextField(_("e-mail"), blank=True)
    name = models.TextField(_("name"), blank=True)
    active = models.BooleanField(_("active"), default=True)
    as_of = models.DateTimeField(_("as of"), help_text=_("Time of the event that these values come from."))
    as_of_event = models.UUIDField()
    retired_at = models.DateTimeField(
        _("retired"), null=True, help_text=_("When name and e-mail were removed; later events bring none back.")
    )

    class Meta:
        verbose_name = _("learner")
        verbose_name_plural = _("learners")
        indexes = [
            # Asked for with every batch of events, and for most sites empty.
            models.Index(fields=["retired_at"], name="learner_retired", condition=Q(retired_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"learner {self.lms_user_id}"


class Progress(models.Model):
    """A learner on the way to a template's badge; `value` is that of the template's `per`, empty without one."""

    learner = models.ForeignKey(Learner, on_delete=models.CASCADE, related_name="progress")
    template = models.ForeignKey(Template, on_delete=models.CASCADE, related_name="progress")
    value = models.CharField(_("for"), max_length=LONGEST_TEXT_OF_VALUE, **initially(""))

    class Meta:
        verbose_name = _("progress")
        verbose_name_plural = _("progress")
        constraints = [
            models.UniqueConstraint(fields=["learner", "template", "value"], name="progress_of_value_unique")
        ]

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


class OccurrenceQuerySet(models.QuerySet["Occurrence"]):
    """Occurrences."""

    def of_now(self) -> "OccurrenceQuerySet":
        """Those that still count: what their requirement counts was not changed since."""
        return self.filter(begun_anew=F("requirement__begun_anew"))


class Occurrence(models.Model):
    """An event that counted for a requirement, or (`fulfills` is false) took back what counted before.

    Only of requirements that the newest event alone does not decide (`rules.Template.counted`); the fulfillment follows
    from all of them.
    """

    progress = models.ForeignKey(Progress, on_delete=models.CASCADE, related_name="occurrences")
    requirement = models.ForeignKey(Requirement, on_delete=models.CASCADE, related_name="occurrences")
    event = models.UUIDField()
    time = models.DateTimeField(help_text="That event's time.")
    value = models.CharField(  # noqa: DJ001 - an empty text is a value
        max_length=LONGEST_TEXT_OF_VALUE,
        null=True,
        help_text="What tells it from others that count: the text at the requirement's `distinct`.  Null: see the rules.",
    )
    fulfills = models.BooleanField()
    alone = models.BooleanField(
        default=False, db_default=False, help_text="It was enough by itself, under the rules of before."
    )
    begun_anew = models.PositiveIntegerField(
        default=0,
        db_default=0,
        help_text="The requirement's `begun_anew` when it was noted; of another it counts no more.",
    )

    objects = OccurrenceQuerySet.as_manager()

    class Meta:
        verbose_name = _("occurrence")
        verbose_name_plural = _("occurrences")
        constraints = [
            models.UniqueConstraint(fields=["progress", "requirement", "begun_anew", "event"], name="occurrence_unique")
        ]

    def __str__(self) -> str:
        return f"occurrence {self.pk}"


class DueWork(models.Model):
    """Columns of a row with work that is claimed, tried, and tried again when it is due.

    `due_at` empty means that nothing is to be done.  A claim is the right to work on the row until `claimed_until`; who
    dies with it delays the row until then and no longer.  `nudged_at` keeps housekeeping from filling the queue with the
    same row while the workers are busy.
    """

    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    taken_up = models.PositiveIntegerField(
        default=0, editable=False, help_text=_("How often it was claimed since the last result: claims that died.")
    )
    due_at = models.DateTimeField(_("due"), null=True)
    claim = models.UUIDField(null=True, editable=False)
    claimed_until = models.DateTimeField(null=True, editable=False)
    nudged_at = models.DateTimeField(null=True, editable=False)
    error = models.TextField(_("error"), blank=True)
    traceback = models.TextField(_("traceback"), blank=True, help_text=_("Where in our code the last failure struck."))

    class Meta:
        abstract = True


class Standing(models.TextChoices):
    """What the rules say of a badge."""

    AWARDED = "awarded", _("awarded")
    REVOKED = "revoked", _("revoked")


class RevokedBy(models.TextChoices):
    """Who decided that a badge is revoked.  What a person decided, events do not undo."""

    RULES = "rules", _("the rules")
    OPERATOR = "operator", _("an operator here")
    CREDLY = "credly", _("somebody at Credly")
    EXTRA = "extra", _("reconciliation, being one too many")


class CredlyState(models.TextChoices):
    """What Credly holds of a badge, as far as we know."""

    NONE = "none", _("none")  # nothing was ever sent, or it is sure that Credly holds nothing
    ISSUING = "issuing", _("issuing")  # a call to issue is out, or its answer never came
    PENDING = "pending", _("pending")  # Credly holds it, the learner has not acted
    ACCEPTED = "accepted", _("accepted")
    REJECTED = "rejected", _("rejected")  # Credly holds it, the learner declined it
    REVOKING = "revoking", _("revoking")  # a call to revoke is out, or its answer never came
    REVOKED = "revoked", _("revoked")
    FAILED = "failed", _("failed")  # Credly refused for good; `error` says why


def _true_or_null(condition: Q) -> models.GeneratedField:
    """A column that the database keeps true while the condition holds, and null else.

    Nulls are unlike each other, so a unique constraint with this column is one for the rows of the condition.  MySQL and
    MariaDB leave out in silence a constraint that is declared with a `condition`.
    """
    value = models.Case(models.When(condition, then=models.Value(True)))
    return models.GeneratedField(expression=value, output_field=models.BooleanField(null=True), db_persist=True)


class Badge(DueWork):
    """A badge of a learner: what it should be (`standing`) and what Credly holds (`credly_state`).

    `value` is that of the template's `per`, empty without one.  With `reaward` a badge earned again after a revocation is
    a new row with the next `cycle`.
    """

    uuid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    learner = models.ForeignKey(Learner, on_delete=models.PROTECT, related_name="badges", verbose_name=_("learner"))
    template = models.ForeignKey(Template, on_delete=models.PROTECT, related_name="badges", verbose_name=_("template"))
    value = models.CharField(
        _("for"),
        max_length=LONGEST_TEXT_OF_VALUE,
        help_text=_("The value of the template's “one badge per” that it was earned for."),
        **initially(""),
    )
    cycle = models.PositiveIntegerField(_("cycle"), default=1)
    standing = models.CharField(_("standing"), max_length=10, choices=Standing, default=Standing.AWARDED)
    revoked_by = models.CharField(_("revoked by"), max_length=10, choices=RevokedBy, blank=True)
    revocation_reason = models.CharField(_("reason of the revocation"), max_length=255, blank=True)
    credly_state = models.CharField(_("Credly state"), max_length=10, choices=CredlyState, default=CredlyState.NONE)
    credly_id = models.UUIDField(_("Credly id"), null=True, unique=True, editable=False)
    earned_at = models.DateTimeField(_("earned"), help_text=_("Time of the event that completed it."))
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    is_awarded = _true_or_null(Q(standing=Standing.AWARDED))
    # An extra one at Credly, which reconciliation found, is revoked beside the one that stays.
    is_live = _true_or_null(
        Q(credly_state__in=("issuing", "pending", "accepted", "rejected", "revoking")) & ~Q(revoked_by="extra")
    )

    class Meta:
        verbose_name = _("badge")
        verbose_name_plural = _("badges")
        constraints = [
            models.UniqueConstraint(fields=["learner", "template", "value", "cycle"], name="badge_value_cycle_unique"),
            models.UniqueConstraint(
                fields=["learner", "template", "value", "is_awarded"], name="badge_value_awarded_once"
            ),
            models.UniqueConstraint(fields=["learner", "template", "value", "is_live"], name="badge_value_live_once"),
        ]
        indexes = [
            models.Index(fields=["due_at"], name="badge_due", condition=Q(due_at__isnull=False)),
            # For the counts of the status page and the dashboard.
            models.Index(fields=["standing", "credly_state"], name="badge_standing_state"),
            models.Index(fields=["credly_state"], name="badge_credly_state"),
        ]

    def __str__(self) -> str:
        return f"badge {self.uuid}"


class BadgeHistory(models.Model):
    """One change of a badge or one call to Credly about it.  Rows are only ever added."""

    badge = models.ForeignKey(Badge, on_delete=models.CASCADE, related_name="history")
    at = models.DateTimeField(_("at"), auto_now_add=True)
    what = models.CharField(_("what"), max_length=50)
    outcome = models.TextField(_("outcome"), blank=True)
    event = models.UUIDField(_("event"), null=True, help_text=_("The event that caused it, if one did."))
    actor = models.CharField(_("by"), max_length=150, blank=True, help_text=_("The operator who did it, if one did."))

    class Meta:
        verbose_name = _("badge history")
        verbose_name_plural = _("badge history")
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.what} {self.at:%Y-%m-%d %H:%M:%S}"


class SignalState(models.TextChoices):
    """Where a signal stands."""

    PENDING = "pending", _("pending")
    SENT = "sent", _("sent")
    DISABLED = "disabled", _("disabled")  # EVENT_BUS_PRODUCER_CONFIG sends this type nowhere
    FAILED = "failed", _("failed")  # it can't be put on the bus; `error` says why


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
        verbose_name = _("signal")
        verbose_name_plural = _("signals")
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["badge", "event_type"], name="signal_once_per_badge")]
        indexes = [
            models.Index(fields=["due_at"], name="signal_due", condition=Q(due_at__isnull=False)),
            models.Index(fields=["state"], name="signal_state"),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.uuid}"


class WebhookState(models.TextChoices):
    """What became of a webhook."""

    WAITING = "waiting", _("waiting")
    HANDLED = "handled", _("handled")  # `outcome` says what was done
    IGNORED = "ignored", _("ignored")  # it tells nothing about our badges and templates
    REFUSED = "refused", _("refused")  # Credly knows no such event: it was forged


class Webhook(DueWork):
    """One webhook of Credly: a pointer to an event there, not to be believed until Credly itself tells the event.

    Unique with its organization: the same id told for another organization must not take its place.
    """

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="webhooks", verbose_name=_("organization")
    )
    event = models.UUIDField(_("event"), help_text=_("The event's id at Credly."))
    event_type = models.CharField(_("type"), max_length=100)
    received_at = models.DateTimeField(_("received"), auto_now_add=True)
    put_back_at = models.DateTimeField(null=True, editable=False, help_text=_("When an operator had it handled again."))
    state = models.CharField(_("state"), max_length=10, choices=WebhookState, default=WebhookState.WAITING)
    outcome = models.TextField(_("outcome"), blank=True)

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["organization", "event"], name="webhook_once")]
        indexes = [
            models.Index(fields=["due_at"], name="webhook_due", condition=Q(due_at__isnull=False)),
            models.Index(fields=["received_at"], name="webhook_received"),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.event}"


class DiscrepancyKind(models.TextChoices):
    """How our badges and Credly's differ."""

    MISSING = "missing", _("missing at Credly")
    EXTRA = "extra", _("extra at Credly")
    DIFFERENT = "different", _("different at Credly")


class Discrepancy(models.Model):
    """A difference between our badges and Credly's that the last reconciliation of the organization found."""

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="discrepancies", verbose_name=_("organization")
    )
    kind = models.CharField(_("kind"), max_length=10, choices=DiscrepancyKind)
    badge = models.ForeignKey(
        Badge, on_delete=models.CASCADE, null=True, related_name="discrepancies", verbose_name=_("badge")
    )
    template = models.ForeignKey(
        Template, on_delete=models.CASCADE, null=True, related_name="discrepancies", verbose_name=_("template")
    )
    credly_id = models.UUIDField(_("Credly id"), null=True)
    detail = models.TextField(_("detail"))
    found_at = models.DateTimeField(_("found"))
    repair_queued_at = models.DateTimeField(_("repair queued"), null=True)

    class Meta:
        verbose_name = _("discrepancy")
        verbose_name_plural = _("discrepancies")
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"
