"""What operators configure: organizations, badge templates, their requirements, penalties and rules."""

from django.core.validators import RegexValidator
from django.db import models
from encrypted_fields.fields import EncryptedTextField

GROUP_LETTER = RegexValidator(r"^[A-Z]\Z", "A group is one letter from A to Z.")


class TemplateState(models.TextChoices):
    """State of a badge template at Credly."""

    DRAFT = "draft"
    ACTIVE = "active"
    ARCHIVED = "archived"


class Operator(models.TextChoices):
    """How a rule compares the value at its key path with its own value."""

    EQUALS = "eq", '"=" (equals)'
    NOT_EQUALS = "ne", '"!=" (not equals)'


class Organization(models.Model):
    """A Credly organization and how to call it.

    `api_key` holds a key, or `env:NAME` for one in the environment; keys of the setting `CREDLY_ORGANIZATIONS` go before it.
    While Credly refuses the key, `key_refused_since` is set and nothing but a probe is sent before `call_again_at`.
    """

    uuid = models.UUIDField(unique=True, help_text="The organization's id at Credly.")
    name = models.CharField(max_length=255, blank=True)
    api_key = EncryptedTextField(
        null=True, blank=True, help_text="Credly authorization token, or env:NAME to take it from the environment."
    )
    key_refused_since = models.DateTimeField(null=True, blank=True, editable=False)
    call_again_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "Credly organization"
        ordering = ["name", "uuid"]

    def __str__(self) -> str:
        return self.name or str(self.uuid)


class Template(models.Model):
    """A Credly badge template and the switches of its badges here."""

    uuid = models.UUIDField(unique=True, help_text="The badge template's id at Credly.")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="templates")
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True)
    image_url = models.URLField(max_length=1000, blank=True)
    state = models.CharField(max_length=10, choices=TemplateState, default=TemplateState.ACTIVE)
    active = models.BooleanField(
        default=False, help_text="Only active templates with a requirement award badges; issued badges stay."
    )
    reaward = models.BooleanField(
        default=False, help_text="Whether a learner whose badge was revoked may earn it again."
    )

    class Meta:
        verbose_name = "Credly badge template"
        ordering = ["name", "uuid"]

    def __str__(self) -> str:
        return self.name


class Condition(models.Model):
    """What requirements and penalties have in common: an event type, and rules that must all match."""

    template = models.ForeignKey(Template, on_delete=models.CASCADE)
    slug = models.SlugField(max_length=100, help_text="Stable name, unique in the template.")
    event_type = models.CharField(max_length=255)
    description = models.TextField(blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.slug


class Requirement(Condition):
    """Fulfilled for a learner by an event that all its rules match."""

    group = models.CharField(
        max_length=1,
        blank=True,
        validators=[GROUP_LETTER],
        help_text="Requirements with the same letter are alternatives; without a letter it is needed by itself.",
    )

    class Meta:
        default_related_name = "requirements"
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["template", "slug"], name="requirement_slug_unique")]


class Penalty(Condition):
    """Takes back its requirements when an event comes that all its rules match."""

    requirements = models.ManyToManyField(Requirement, related_name="penalties")

    class Meta:
        verbose_name_plural = "penalties"
        default_related_name = "penalties"
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["template", "slug"], name="penalty_slug_unique")]


class Rule(models.Model):
    """One comparison: the value at a key path of the event's payload with an expected value."""

    data_path = models.CharField(max_length=255, help_text='For example "is_passing" or "course.course_key".')
    operator = models.CharField(max_length=10, choices=Operator, default=Operator.EQUALS)
    value = models.CharField(max_length=255)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.data_path} {self.operator} {self.value}"


class RequirementRule(Rule):
    """A rule of a requirement."""

    requirement = models.ForeignKey(Requirement, on_delete=models.CASCADE, related_name="rules")

    class Meta:
        ordering = ["pk"]


class PenaltyRule(Rule):
    """A rule of a penalty."""

    penalty = models.ForeignKey(Penalty, on_delete=models.CASCADE, related_name="rules")

    class Meta:
        ordering = ["pk"]
