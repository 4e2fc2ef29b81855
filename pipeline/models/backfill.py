"""Backfills: the kept events that run through a template once more, and how far that is."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from pipeline.models.configuration import Template


class BackfillState(models.TextChoices):
    """Whether a backfill goes on."""

    RUNNING = "running", _("running")
    STOPPED = "stopped", _("stopped")  # somebody or something stopped it; it can go on from there
    DONE = "done", _("done")


class Backfill(models.Model):
    """The latest backfill of a template; a new one takes the place of the old one.

    It goes learner by learner, in the order of their LMS user ids.  Each message to the workers names its `turn`, so that of
    two that say the same only one has an effect; `due_at` is when housekeeping sends that message again.
    """

    template = models.OneToOneField(Template, on_delete=models.CASCADE, related_name="backfill")
    state = models.CharField(max_length=10, choices=BackfillState, default=BackfillState.RUNNING)
    rule = models.CharField(max_length=64, help_text="The template's rules that it runs for, by their hash.")
    stamp = models.UUIDField(null=True, help_text="The version of the configuration at its latest turn.")
    since = models.DateTimeField(null=True, help_text="Only events of this time or later; null: all that are kept.")
    until = models.DateTimeField(
        help_text="Only events that were stored until then: later ones came under these rules."
    )
    position = models.BigIntegerField(default=0, help_text="The LMS user id up to which learners are done.")
    turn = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(null=True)
    note = models.TextField(blank=True, default="", help_text="What it lets go first at the moment, or why it ended.")
    total = models.PositiveIntegerField(null=True, help_text="Events to look at; null until they are counted.")
    looked_at = models.PositiveIntegerField(default=0)
    ran = models.PositiveIntegerField(default=0, help_text="Those of them that met the template's rules.")
    awarded = models.PositiveIntegerField(default=0, help_text="Badges that these awarded.")
    revoked = models.PositiveIntegerField(default=0)
    started_by = models.CharField(max_length=150, blank=True, default="")
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("backfill")
        verbose_name_plural = _("backfills")

    def __str__(self) -> str:
        return f"backfill of {self.template_id}"
