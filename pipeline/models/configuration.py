"""What operators configure: organizations, badge templates, their requirements, penalties and rules."""

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from encrypted_fields.fields import EncryptedTextField

from pipeline.models.deletion import restrict
from pipeline.rules import MOST_LOOKED_AT

MOST_COUNTED = MOST_LOOKED_AT // 2
"""The greatest `count` of a requirement: so that penalties and repetitions have room beside what counts."""

BADGE_AWARDED = "org.openedx.learning.badge.awarded.v1"
BADGE_REVOKED = "org.openedx.learning.badge.revoked.v1"
BADGE_EVENTS = (BADGE_AWARDED, BADGE_REVOKED)
"""The event types that are our own signals, read back from the bus."""

LONGEST_VALUE = 4000
"""Characters of a rule's value: some fifty course keys."""

GROUP_LETTER = RegexValidator(r"^[A-Z]\Z", _("A group is one letter from A to Z."))


class TemplateState(models.TextChoices):
    """State of a badge template at Credly."""

    DRAFT = "draft", _("draft")
    ACTIVE = "active", _("active")
    ARCHIVED = "archived", _("archived")


class Operator(models.TextChoices):
    """How a rule compares the value at its key path with its own value."""

    EQUALS = "eq", _('"=" (equals)')
    NOT_EQUALS = "ne", _('"!=" (not equals)')
    GREATER = "gt", _('">" (greater, later)')
    AT_LEAST = "ge", _('"≥" (at least, not before)')
    LESS = "lt", _('"<" (less, earlier)')
    AT_MOST = "le", _('"≤" (at most, not after)')
    IN = "in", _("is one of")
    NOT_IN = "not_in", _("is none of")
    CONTAINS = "contains", _("contains")
    STARTS_WITH = "starts_with", _("starts with")
    MATCHES = "matches", _("matches the regular expression")
    EXISTS = "exists", _("is there")


class GateReason(models.TextChoices):
    """Why Credly is not called for an organization, but for one probe now and then."""

    KEY_REFUSED = "key refused", _("its key is refused")
    FAILING = "failing", _("Credly fails")
    THROTTLED = "throttled", _("Credly asked for fewer calls")


class Organization(models.Model):
    """A Credly organization and how to call it.

    `api_key` holds a key, or `env:NAME` for one in the environment; keys of the setting `CREDLY_ORGANIZATIONS` go before it.
    While Credly refuses the key, fails one call after the other (`failures` in a row) or asks for fewer, `gate_reason` says so
    since `gate_closed_at`, and nothing but a probe is sent before `call_again_at`.
    `key_fingerprint` tells when another key took the place of the one that `key_set_at` and `key_expires_at` are about.
    """

    uuid = models.UUIDField(_("UUID"), unique=True, help_text=_("The organization's id at Credly."))
    name = models.CharField(_("name"), max_length=255, blank=True)
    api_key = EncryptedTextField(
        _("API key"),
        null=True,
        blank=True,
        help_text=_("Credly authorization token, or env:NAME to take it from the environment."),
    )
    key_fingerprint = models.CharField(max_length=64, blank=True, editable=False)
    key_set_at = models.DateTimeField(_("key set"), null=True, blank=True, editable=False)
    key_expires_at = models.DateTimeField(_("key expires"), null=True, blank=True, editable=False)
    call_again_at = models.DateTimeField(null=True, blank=True, editable=False)
    gate_reason = models.CharField(
        _("not called because"), max_length=20, choices=GateReason, blank=True, editable=False
    )
    gate_closed_at = models.DateTimeField(_("not called since"), null=True, blank=True, editable=False)
    failures = models.PositiveIntegerField(_("failures in a row"), default=0, editable=False)
    reconciled_at = models.DateTimeField(_("reconciled"), null=True, blank=True, editable=False)
    synced_at = models.DateTimeField(_("synced"), null=True, blank=True, editable=False)
    sync_error = models.TextField(_("sync error"), blank=True, editable=False)

    class Meta:
        verbose_name = _("Credly organization")
        verbose_name_plural = _("Credly organizations")
        ordering = ["name", "uuid"]

    def __str__(self) -> str:
        return self.name or str(self.uuid)


class Template(models.Model):
    """A Credly badge template and the switches of its badges here."""

    uuid = models.UUIDField(_("UUID"), unique=True, help_text=_("The badge template's id at Credly."))
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="templates", verbose_name=_("organization")
    )
    name = models.CharField(_("name"), max_length=255)
    description = models.TextField(_("description"), blank=True)
    image_url = models.URLField(_("image"), max_length=1000, blank=True)
    state = models.CharField(_("state at Credly"), max_length=10, choices=TemplateState, default=TemplateState.ACTIVE)
    active = models.BooleanField(
        _("active"),
        default=False,
        help_text=_("Only active templates with a requirement award badges; issued badges stay."),
    )
    reaward = models.BooleanField(
        _("award again"), default=False, help_text=_("Whether a learner whose badge was revoked may earn it again.")
    )
    allows_duplicates = models.BooleanField(
        _("allows duplicates"),
        default=False,
        editable=False,
        help_text=_("Credly would let a learner hold this badge twice, so its own safety net is off."),
    )
    per = models.CharField(
        _("one badge per"),
        max_length=255,
        blank=True,
        db_default="",
        help_text=_(
            'A key path such as "course.course_key": a learner earns one badge for each value. Empty: one badge in all.'
        ),
    )
    synced_at = models.DateTimeField(_("synced"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("Credly badge template")
        verbose_name_plural = _("Credly badge templates")
        ordering = ["name", "uuid"]

    def __str__(self) -> str:
        return self.name


class Condition(models.Model):
    """What requirements and penalties have in common: an event type, and rules that must all match."""

    template = models.ForeignKey(Template, on_delete=models.CASCADE, verbose_name=_("template"))
    slug = models.SlugField(_("id"), max_length=100, help_text=_("Stable name, unique in the template."))
    event_type = models.CharField(_("event type"), max_length=255)
    description = models.TextField(_("description"), blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.slug


class Requirement(Condition):
    """Fulfilled for a learner by an event that all its rules match."""

    group = models.CharField(
        _("group"),
        max_length=1,
        blank=True,
        validators=[GROUP_LETTER],
        help_text=_("Requirements with the same letter are alternatives; without a letter it is needed by itself."),
    )
    count = models.PositiveIntegerField(
        _("how many"),
        default=1,
        db_default=1,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_COUNTED)],
        help_text=_("How many events it takes."),
    )
    distinct = models.CharField(
        _("of different"),
        max_length=255,
        blank=True,
        db_default="",
        help_text=_(
            'The key path in which these events must differ, such as "course.course_key". Empty: any events count.'
        ),
    )
    within = models.DurationField(
        _("within"), null=True, blank=True, help_text=_("The events must lie no further apart than this.")
    )
    counts_from = models.DateTimeField(_("from"), null=True, blank=True, help_text=_("Earlier events do not count."))
    counts_until = models.DateTimeField(
        _("until"), null=True, blank=True, help_text=_("Events of this time or later do not count.")
    )
    after = models.ForeignKey(
        "self",
        on_delete=restrict,
        null=True,
        blank=True,
        related_name="followers",
        verbose_name=_("after"),
        help_text=_("Only events later than the one that fulfilled this requirement count."),
    )
    begun_anew = models.PositiveIntegerField(
        default=0,
        db_default=0,
        editable=False,
        help_text=_("How often what it counts was changed: it counts anew since."),
    )

    class Meta:
        verbose_name = _("requirement")
        verbose_name_plural = _("requirements")
        default_related_name = "requirements"
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["template", "slug"], name="requirement_slug_unique")]

    @property
    def told_apart_by(self) -> str:
        """The key path in which events that count must differ; empty if all do.

        Badges differ by their own id, so that the loss of one takes back that one alone, of several for one template too.
        """
        return self.distinct or ("uuid" if self.event_type in BADGE_EVENTS else "")


class Penalty(Condition):
    """Takes back its requirements when an event comes that all its rules match."""

    requirements = models.ManyToManyField(Requirement, related_name="penalties", verbose_name=_("requirements"))

    class Meta:
        verbose_name = _("penalty")
        verbose_name_plural = _("penalties")
        default_related_name = "penalties"
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["template", "slug"], name="penalty_slug_unique")]


class Rule(models.Model):
    """One comparison: the value at a key path of the event's payload with an expected value."""

    data_path = models.CharField(
        _("key path"), max_length=255, help_text=_('For example "is_passing" or "course.course_key".')
    )
    operator = models.CharField(_("operator"), max_length=20, choices=Operator, default=Operator.EQUALS)
    value = models.CharField(
        _("value"), max_length=LONGEST_VALUE, help_text=_('Of "is one of" and "is none of", each value on a line.')
    )

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.data_path} {self.operator} {self.value}"


class RequirementRule(Rule):
    """A rule of a requirement."""

    requirement = models.ForeignKey(Requirement, on_delete=models.CASCADE, related_name="rules")

    class Meta:
        verbose_name = _("rule")
        verbose_name_plural = _("rules")
        ordering = ["pk"]


class PenaltyRule(Rule):
    """A rule of a penalty."""

    penalty = models.ForeignKey(Penalty, on_delete=models.CASCADE, related_name="rules")

    class Meta:
        verbose_name = _("rule")
        verbose_name_plural = _("rules")
        ordering = ["pk"]
