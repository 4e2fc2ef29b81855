"""One call to the API and its answer, free of HTTP machinery."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pipeline.credly.emulator.query import PAGING, Query, page_address, paginate
from pipeline.credly.emulator.records import Organization, Token
from pipeline.credly.emulator.state import State

Item = TypeVar("Item")


@dataclass
class Call:
    """A request to ``/v1``: ``path`` without the prefix, a trailing slash, or the query.

    ``arguments`` are the decoded query parameters, ``ids`` the identifiers in the path, by kind.
    ``token`` and ``organization`` are set once the caller is known.
    """

    state: State
    method: str
    path: str
    origin: str
    arguments: Mapping[str, list[str]]
    authorization: str
    content_type: str
    raw: bytes
    body: dict[str, Any] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    token: Token = field(init=False)
    organization: Organization = field(init=False)

    def page(
        self,
        items: list[Item],
        query: Query,
        render: Callable[[State, Item], dict[str, Any]],
        shown: Collection[str] = PAGING,
    ) -> "Answer":
        """The asked page of the items in Credly's envelope, with the shown paging metadata."""

        def address(page: int) -> str:
            return page_address(self.state, self.origin, self.path, self.arguments, page)

        chosen, metadata = paginate(self.state, items, query.page, address)
        return success(
            [render(self.state, item) for item in chosen],
            metadata={name: metadata[name] for name in shown},
        )


@dataclass
class Answer:
    """What goes back: a status, a body (a mapping goes as JSON) and headers."""

    status: int
    body: dict[str, Any] | str
    headers: dict[str, str] = field(default_factory=dict)


def success(
    data: dict[str, Any] | Iterable[dict[str, Any]],
    *,
    status: int = 200,
    metadata: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """An answer in Credly's envelope."""
    return Answer(status, {"data": data, "metadata": metadata or {}}, headers or {})
