"""The admin site, one module per thing it shows."""

from pipeline.admin import (  # noqa: F401 - importing registers
    badge_templates,
    badges,
    conditions,
    discrepancies,
    events,
    gaps,
    learners,
    organizations,
    signals,
    users,
    webhooks,
)
