"""purge: remove what is older than its retention."""


def purge() -> bool:
    """Remove one batch; says whether there is more."""
    return False
