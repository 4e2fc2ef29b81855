"""The outcome of a trial: what an event would do, rule by rule, and the words for it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import TextChoices
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from pipeline import rules


class Verdict(TextChoices):
    """What would happen.  The label is a sentence for people; `Trial.words` says more where it can."""

    REFUSED = "refused", _("The event would be refused.")
    UNSUBSCRIBED = "unsubscribed", _('Nothing: BADGES_CONFIG["events"] does not list this event type.')
    INACTIVE = "inactive", _("Nothing: the template is deactivated.")
    NO_REQUIREMENT = "no requirement", _("Nothing: the template has no requirement.")
    NO_MATCH = "no match", _("Nothing: the event meets no requirement and no penalty of this template.")
    NO_VALUE = "no value", _("Nothing: the event has no value at the key path for each of which a badge is awarded.")
    AWARDED = "awarded", _("The badge would be awarded.")
    AWARDED_AGAIN = "awarded again", _("The badge would be awarded again.")
    RESTORED = "restored", _("The badge would be awarded again: its revocation has not begun at Credly.")
    REVOKED = "revoked", _("The badge would be revoked.")
    INCOMPLETE = "incomplete", _("Nothing: something is still missing.")
    ALREADY_AWARDED = "already awarded", _("Nothing: the badge is already awarded.")
    FINAL = "final", _("Nothing: the badge was revoked before, and the template does not award again.")
    NO_NEWS = "no news", _("Nothing: the badge was revoked, and this event decides nothing anew.")
    REVOKED_BY_OPERATOR = "revoked by operator", _("Nothing: the badge was revoked by an operator.")
    REVOKED_AT_CREDLY = "revoked at credly", _("Nothing: the badge was revoked by somebody at Credly.")


class Effect(TextChoices):
    """What an event does to one requirement of its learner."""

    NONE = "none", _("the event says nothing about it")
    FULFILLED = "fulfilled", _("would be fulfilled by the event")
    RESET = "reset", _("would be taken back by the event")
    REPEATED = "repeated", _("this very event has decided it already")
    OUTDATED = "outdated", _("nothing: a newer event has decided it")
    COUNTED = "counted", _("the event would count for it")
    TAKEN_OFF = "taken off", _("what counted would be taken back by the event")
    KNOWN = "known", _("nothing: this very event is counted already")
    AS_BEFORE = "as before", _("nothing: as much would count as before")
    WAITS = "waits", _("nothing: no event counts before “%(first)s” is fulfilled")
    NOT_LATER = "not later", _("nothing: only events later than the one that fulfilled “%(first)s” count")


@dataclass(frozen=True, slots=True)
class RuleTrial:
    """One rule and the value that the event has at its key path; `found` is None where it has none or null."""

    path: str
    operator: str
    expected: str
    found: object
    matched: bool


@dataclass(frozen=True, slots=True)
class RequirementTrial:
    """A requirement before the event.  Of an event of another type no rule is looked at.

    `unfit` are reasons, beside the rules, why the event does not count.
    """

    slug: str
    description: str
    event_type: str
    group: str
    same_type: bool
    rules: tuple[RuleTrial, ...]
    unfit: tuple[str, ...]
    met: bool


@dataclass(frozen=True, slots=True)
class PenaltyTrial:
    """A penalty before the event; `requirements` are the ids of those it resets."""

    slug: str
    description: str
    event_type: str
    requirements: tuple[str, ...]
    same_type: bool
    rules: tuple[RuleTrial, ...]
    strikes: bool


@dataclass(frozen=True, slots=True)
class Count:
    """Of `needed` events, how many count before and after the event."""

    before: int
    after: int
    needed: int

    def __str__(self) -> str:
        if self.before == self.after:
            return self.reached
        return gettext("%(before)s, then %(after)s") % {"before": self.before, "after": self.reached}

    @property
    def reached(self) -> str:
        """How far it would be after the event: "3 of 5"."""
        return gettext("%(after)s of %(needed)s") % {"after": self.after, "needed": self.needed}


@dataclass(frozen=True, slots=True)
class Step:
    """One requirement of the learner: what decides it today, what the event does, and what would decide it then.

    `count` is None for a requirement that takes one event; `first` is the requirement that this one comes after, or empty.
    """

    requirement: str
    before: rules.Decision | None
    effect: Effect
    after: rules.Decision | None
    count: Count | None
    first: str = ""

    @property
    def words(self) -> str:
        """What the event does."""
        words = str(self.effect.label) % {"first": self.first}
        return f"{words} ({self.count})" if self.count else words


@dataclass(frozen=True, slots=True)
class Missing:
    """A group of which no requirement would be fulfilled; a requirement without a letter is one by itself.

    `counts` says how many events of each count then: "3 of 5", empty for one that takes one.
    """

    group: str
    requirements: tuple[str, ...]
    counts: tuple[str, ...]

    def __str__(self) -> str:
        named = [
            f"{slug} ({count})" if count else slug for slug, count in zip(self.requirements, self.counts, strict=True)
        ]
        if not self.group:
            return named[0]
        return gettext("one of group %(group)s (%(names)s)") % {
            "group": self.group,
            "names": gettext(" or ").join(named),
        }


@dataclass(frozen=True, slots=True)
class LearnerTrial:
    """The learner that the event names.

    `record` is the primary key of their row, None while no event about them has counted.  `standing` is that of their
    newest badge of the template, "" without one.  `missing` is what the template would lack after the event.
    """

    lms_user_id: int
    record: int | None
    standing: str
    steps: tuple[Step, ...]
    complete_before: bool
    complete_after: bool
    missing: tuple[Missing, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """The outcome of `try_event`.

    `learner` is None when the event can't take part.  Of an inactive template `if_active` is what would happen if it were
    active; of any other it is None.  `per` is the key path of which the template awards one badge for each value, "" if it
    awards one; `value` what the event has there, None for nothing.
    """

    template: UUID
    name: str
    event_type: str
    time: datetime
    per: str
    value: str | None
    verdict: Verdict
    if_active: Verdict | None
    refusal: str
    requirements: tuple[RequirementTrial, ...]
    penalties: tuple[PenaltyTrial, ...]
    learner: LearnerTrial | None

    @property
    def words(self) -> str:
        """What would happen, in a sentence or two."""
        if self.if_active is None:
            return self._sentence(self.verdict)
        return f"{self._sentence(self.verdict)} {gettext('If it were active:')} {self._sentence(self.if_active)}"

    def _sentence(self, verdict: Verdict) -> str:
        if verdict is Verdict.INCOMPLETE and self.learner is not None:
            missing = self.learner.missing
            sentence = ngettext(
                "Nothing: %(missing)s is still missing.", "Nothing: %(missing)s are still missing.", len(missing)
            )
            return sentence % {"missing": ", ".join(map(str, missing))}
        if verdict is Verdict.REFUSED:
            return f"{verdict.label} {self.refusal}"
        return str(verdict.label)
