"""What becomes of rows that name a row which is deleted."""

from typing import Any

from django.db.models import ForeignKey
from django.db.models.deletion import Collector


def restrict(collector: Collector, field: ForeignKey[Any, Any], rows: Any, using: str) -> None:
    """As Django's RESTRICT, for rows that name others of the same table: those that are deleted together let go before.

    MySQL looks at each row by itself: it would refuse to delete one that is named before the one that names it.

    Args:
        collector: what is deleted.
        field: the column.
        rows: those that name what is deleted; unless they are deleted too, Django raises RestrictedError.
        using: the database.
    """
    collector.add_restricted_objects(field, rows)
    collector.add_field_update(field, None, rows)
