"""Pages of lists that may have millions of rows."""

from functools import cached_property

from django.core.paginator import Paginator
from django.db.models import QuerySet


class BoundedPaginator(Paginator):
    """Counts and pages the first `MOST` rows only: counting all of a ledger takes a database seconds."""

    MOST = 10_000
    object_list: QuerySet
    template_name = "admin/pipeline/pagination.html"

    @cached_property
    def count(self) -> int:
        """The number of rows, at most `MOST`."""
        return self.object_list.order_by()[: self.MOST].count()

    @property
    def is_bounded(self) -> bool:
        """Whether there may be more rows than are shown."""
        return self.count == self.MOST
