"""Reading ahead: the next entries are fetched while the caller is at work on the ones before."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from django.db import close_old_connections, connections

from pipeline.bus.streams import Entry, StreamReader


class ReadAhead:
    """A `StreamReader` that is one read ahead, in a thread of its own.  Use as a context manager.

    What was read ahead is this consumer's like any other entry that it was given and has not acknowledged: should the process
    die, another one claims it.  Worth it where the caller waits for others, such as a database server: Python runs one
    thread at a time.

    Args:
        reader: the reader; meanwhile nobody else may call its `read`.
    """

    def __init__(self, reader: StreamReader) -> None:
        self._reader = reader
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reads-ahead")
        self._ahead: Future[list[Entry]] | None = None

    def read(self, count: int) -> list[Entry]:
        """Up to `count` entries, as `StreamReader.read` has them; the ones after them are then already on their way.

        Raises:
            redis.exceptions.RedisError: what that read raised.  May be repeated.
        """
        coming, self._ahead = self._ahead or self._thread.submit(self._read, count), None
        entries = coming.result()
        self._ahead = self._thread.submit(self._read, count)
        return entries

    def rest(self) -> list[Entry]:
        """What was read ahead and not given out yet; nothing further is read.  May be repeated."""
        coming, self._ahead = self._ahead, None
        return coming.result() if coming else []

    def _read(self, count: int) -> list[Entry]:
        try:
            return self._reader.read(count)
        finally:
            close_old_connections()  # of this thread, which records gaps

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.submit(connections.close_all)
        self._thread.shutdown()
