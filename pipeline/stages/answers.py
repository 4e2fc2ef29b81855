"""What a call to Credly says of its organization beyond the call itself.  For the stages that make calls."""

from pipeline.configuration import gate
from pipeline.credly.outcomes import Throttled, Unavailable, Unknown
from pipeline.ledgers import holdings, webhooks
from pipeline.models import Organization


def answered(organization: Organization) -> None:
    """Credly answered.  If the gate was closed until now, what it held back is due.  May be repeated.

    To be told after the answer itself is recorded: what follows may be lost, the answer not.
    """
    if gate.answered(organization):
        holdings.resume(organization)
        webhooks.resume(organization)


def unanswered(organization: Organization, failure: Throttled | Unavailable | Unknown) -> None:
    """Credly did not answer, or asked for fewer calls.  To be told once per call."""
    if isinstance(failure, Throttled):
        gate.throttled(organization, failure.retry_after)
    else:
        gate.failed(organization)
