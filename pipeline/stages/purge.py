"""purge: remove what is older than its retention."""

import logging

from django.conf import settings

from pipeline.ledgers import retention

logger = logging.getLogger(__name__)


def purge() -> bool:
    """Remove one batch of what came more than `RETENTION_DAYS` days ago and ended; of refused webhooks, a day ago.

    Says whether there was any.  May be repeated: evaluating an event again that comes once more after its purge changes
    nothing, since progress remembers what it decided.
    """
    removed = retention.remove(retention.expiry(settings.RETENTION_DAYS))
    if removed.total:
        logger.info("Purged %s events and %s webhooks", removed.events, removed.webhooks)
    return removed.total > 0
