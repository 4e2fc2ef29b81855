"""What a change of the rules does to what requirements have counted."""

from pipeline.models import Occurrence, Requirement

WHAT_COUNTS = ("event_type", "distinct")
"""The columns of a requirement that say, together with its rules, which events count and what tells them apart."""


def begin_anew(requirement: Requirement) -> None:
    """Forget what a requirement has counted, as something else counts from now on.  May be repeated.

    Events of both would else fulfill it together.  A backfill runs the kept ones through the new rules.
    """
    Occurrence.objects.filter(requirement=requirement).delete()
