"""sync: bring our badge templates in line with Credly's."""


def organizations_to_sync() -> list[int]:
    """The organizations whose templates are to be synced."""
    return []


def sync(organization_id: int) -> None:
    """Sync the templates of one organization."""
