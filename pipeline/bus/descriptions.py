"""Event types in plain English, for people who never read the definitions of ``openedx-events``."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

_PREFIX, _SUFFIX = "org.openedx.learning.", ".v1"


@dataclass(frozen=True)
class Description:
    """What an event type is about.

    ``title`` stands by itself in a list; ``clause`` is what happens, as it goes on after "when".
    """

    title: str
    clause: str

    @property
    def meaning(self) -> str:
        """The clause as a sentence of its own."""
        return f"{capfirst(self.clause)}."


def describe(event_type: str) -> Description:
    """The description of an event type, in the language of the request; of an unknown one, what its name tells."""
    known = _DESCRIPTIONS.get(event_type)
    if known is None:
        return _by_name(event_type)
    title, clause = known
    return Description(gettext(title), gettext(clause))


def described() -> frozenset[str]:
    """The event types that have a description."""
    return frozenset(_DESCRIPTIONS)


def _by_name(event_type: str) -> Description:
    name = event_type.removeprefix(_PREFIX).removesuffix(_SUFFIX)
    words = name.replace(".", " ").replace("_", " ").strip() or gettext("unnamed")
    return Description(capfirst(words), gettext("an event “%(name)s” comes") % {"name": words})


# Titles and clauses follow the event descriptions in `openedx_events/learning/signals.py`.
_DESCRIPTIONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        f"{_PREFIX}{name}{_SUFFIX}": (title, clause)
        for name, title, clause in (
            (
                "course.passing.status.updated",
                _("Course passed or failed"),
                _("the learner is graded as passing or not passing a course"),
            ),
            (
                "ccx.course.passing.status.updated",
                _("Custom course (CCX) passed or failed"),
                _("the learner is graded as passing or not passing a custom course (CCX)"),
            ),
            ("student.registration.completed", _("Registration"), _("the learner registers")),
            ("auth.session.login.completed", _("Login"), _("the learner logs in")),
            ("course.enrollment.created", _("Enrollment"), _("the learner enrolls in a course")),
            (
                "course.enrollment.changed",
                _("Enrollment changed"),
                _("the learner's enrollment in a course changes, for example its mode"),
            ),
            ("course.unenrollment.completed", _("Unenrollment"), _("the learner leaves a course")),
            (
                "certificate.created",
                _("Course certificate created"),
                _("a course certificate is created for the learner"),
            ),
            (
                "certificate.changed",
                _("Course certificate changed"),
                _("the learner's course certificate changes, for example its status"),
            ),
            (
                "certificate.revoked",
                _("Course certificate revoked"),
                _("the learner's course certificate is revoked"),
            ),
            (
                "program.certificate.awarded",
                _("Program certificate awarded"),
                _("the learner is awarded a program certificate"),
            ),
            (
                "program.certificate.revoked",
                _("Program certificate revoked"),
                _("the learner's program certificate is revoked"),
            ),
            (
                "cohort_membership.changed",
                _("Cohort changed"),
                _("the learner is put into a cohort of a course"),
            ),
            ("exam.attempt.submitted", _("Exam submitted"), _("the learner submits a proctored or timed exam")),
            ("exam.attempt.rejected", _("Exam rejected"), _("the learner's exam attempt is rejected")),
            ("exam.attempt.verified", _("Exam verified"), _("the learner's exam attempt is verified")),
            ("exam.attempt.errored", _("Exam broken off"), _("the learner's exam attempt ends with an error")),
            ("exam.attempt.reset", _("Exam reset"), _("the learner's exam attempt is reset")),
            (
                "user.course_access_role.added",
                _("Course role given"),
                _("the learner is given a role in a course, for example as staff"),
            ),
            (
                "user.course_access_role.removed",
                _("Course role taken"),
                _("a role in a course is taken from the learner"),
            ),
            ("forum.thread.created", _("Forum thread"), _("the learner starts a thread in a course's forum")),
            (
                "forum.thread.response.created",
                _("Forum response"),
                _("the learner responds to a thread in a course's forum"),
            ),
            (
                "forum.thread.response.comment.created",
                _("Forum comment"),
                _("the learner comments on a response in a course's forum"),
            ),
            ("badge.awarded", _("Badge awarded"), _("the learner is awarded a badge")),
            ("badge.revoked", _("Badge revoked"), _("a badge of the learner is revoked")),
            (
                "idv_attempt.created",
                _("Identity check begun"),
                _("the learner begins to verify their identity"),
            ),
            (
                "idv_attempt.pending",
                _("Identity check under way"),
                _("the verification of the learner's identity waits for its result"),
            ),
            ("idv_attempt.approved", _("Identity confirmed"), _("the learner's identity is confirmed")),
            ("idv_attempt.denied", _("Identity not confirmed"), _("the learner's identity is not confirmed")),
            (
                "lti_provider.launch.success",
                _("LTI launch"),
                _("the learner opens course content from another platform over LTI"),
            ),
        )
    }
)
