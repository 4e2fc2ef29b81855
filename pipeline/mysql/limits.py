"""What a server takes at the most."""

from django.db import DataError


class StatementTooLong(DataError):
    """A statement is longer than the server takes, with the values in it.  The message says by how much, and quotes none."""

    def __init__(self, length: int, longest: int) -> None:
        super().__init__(f"The database refuses a statement of {length:,} bytes: max_allowed_packet is {longest:,}.")
