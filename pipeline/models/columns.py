"""What columns of several tables share."""

from typing import Any


def initially(value: Any) -> dict[str, Any]:
    """A default that the database knows too: rows that are inserted in bulk leave these columns out."""
    return {"default": value, "db_default": value}
