"""Calls to one organization at Credly: ``client.issue(...)`` and the like, each ending in one outcome.

A method makes its call once (a listing makes one per page) and never retries: when to try again is a time in
the badge's row. Nothing raises for what Credly or the network does.

Paths and parameters: ``facts/credly-api.md`` sections 1, 2, 6 and 9.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC
from typing import Protocol, TypeVar
from uuid import UUID

import requests

from pipeline.credly import parsing
from pipeline.credly.outcomes import Confirmed, Outcome, Unavailable, Unknown
from pipeline.credly.parsing import Page
from pipeline.credly.records import CredlyEvent, IssuedBadge, IssueRequest, KeyDates, OrganizationInfo, TemplateInfo
from pipeline.credly.transport import STANDARD, Limits, Transport, pooled_session

__all__ = [
    "CredlyClient",
    "CredlyEvent",
    "IssueRequest",
    "IssuedBadge",
    "KeyDates",
    "Limits",
    "OrganizationInfo",
    "TemplateInfo",
    "pooled_session",
]

LIVE_STATES = ("pending", "accepted")
"""States in which a badge counts as held (section 6.3: these block a second one)."""

MOST_PAGES = 1000
"""Where a listing gives up (50,000 items): pages without end must not hold a worker for ever."""


class Identified(Protocol):
    """A record with Credly's id."""

    @property
    def id(self) -> UUID: ...


R = TypeVar("R", bound=Identified)


class CredlyClient:
    """One organization's view of Credly.

    ``base_url`` is the API base with its version, such as ``https://sandbox-api.credly.com/v1``.
    ``api_key`` is the organization's authorization token. Threads may share a client and a session.
    """

    def __init__(
        self,
        base_url: str,
        organization: UUID,
        api_key: str,
        *,
        session: requests.Session | None = None,
        limits: Limits = STANDARD,
    ) -> None:
        self._home = f"organizations/{organization}"
        self._api_key = api_key
        self._transport = Transport(base_url, api_key, session or pooled_session(), limits)

    def issue(self, request: IssueRequest) -> Outcome[IssuedBadge]:
        """Issue one badge: ``POST badges``. Do not repeat after Unknown without ``find_badges``.

        ``duplicate_behavior`` is left out: absence acts as "deny" (section 6.3), so Credly refuses a second
        badge.
        """
        return self._transport.write(
            "POST",
            f"{self._home}/badges",
            {
                "badge_template_id": str(request.template),
                "recipient_email": request.recipient_email,
                "issued_to_first_name": request.first_name,
                "issued_to_last_name": request.last_name,
                "issued_at": request.issued_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S +0000"),
                "issuer_earner_id": request.issuer_earner_id,
            },
            parsing.one(parsing.issued_badge),
            may_be_duplicate=True,
            hidden=(request.recipient_email,),
        )

    def revoke(self, badge_id: UUID, reason: str) -> Outcome[IssuedBadge]:
        """Revoke one badge for good: ``PUT badges/{id}/revoke``; ``reason`` must not be empty (section 6.6).

        Repeating it does no harm, but what Credly answers then is not documented: after Rejected or Unknown
        read ``badge(badge_id)``. An answer that does not show the badge as revoked is Unknown.
        """
        outcome = self._transport.write(
            "PUT",
            f"{self._home}/badges/{badge_id}/revoke",
            {"reason": reason},
            parsing.one(parsing.issued_badge),
        )
        if isinstance(outcome, Confirmed) and outcome.value.state != "revoked":
            return Unknown("Credly accepted the revocation but does not show the badge as revoked")
        return outcome

    def find_badges(
        self,
        template: UUID,
        *,
        issuer_earner_id: str | None = None,
        recipient_email: str | None = None,
        states: Sequence[str] = LIVE_STATES,
    ) -> Outcome[list[IssuedBadge]]:
        """The organization's badges of a template that match everything given: ``GET badges``, all pages.

        No ``states`` means any state. E-mail addresses match whatever their case. A badge that Credly refuses
        as a duplicate only because another address belongs to the same Credly account is not found.
        """
        wanted = {
            "badge_template_id": str(template),
            "issuer_earner_id": issuer_earner_id,
            "recipient_email": recipient_email,
            "state": ",".join(states) or None,
        }
        outcome = self._every("badges", parsing.issued_badge, {"filter": _filter(wanted), "sort": "created_at"})
        if not isinstance(outcome, Confirmed):
            return outcome
        # Credly may ignore a filter key it does not know (not documented), so the answer is filtered again.
        return Confirmed(
            [
                badge
                for badge in outcome.value
                if badge.template == template
                and (not states or badge.state in states)
                and (issuer_earner_id is None or badge.issuer_earner_id == issuer_earner_id)
                and (recipient_email is None or _same_address(badge.recipient_email, recipient_email))
            ]
        )

    def badge_page(self, number: int) -> Outcome[Page[IssuedBadge]]:
        """One page (from 1) of all the organization's badges in any state, oldest first: ``GET badges``.

        While badges come and go, one may slip to a page that was read already: who misses one asks for it alone.
        """
        query = {"sort": "created_at", "page": str(number)}
        return self._transport.read(f"{self._home}/badges", query, parsing.page(parsing.issued_badge))

    def badge(self, badge_id: UUID) -> Outcome[IssuedBadge]:
        """One badge as Credly holds it now: ``GET badges/{id}``. No such badge: Rejected with status 404."""
        return self._transport.read(f"{self._home}/badges/{badge_id}", {}, parsing.one(parsing.issued_badge))

    def organization(self) -> Outcome[OrganizationInfo]:
        """This organization: ``GET organizations/{id}``. The cheapest way to learn whether the key works."""
        return self._transport.read(self._home, {}, parsing.one(parsing.organization))

    def templates(self, state: str = "active") -> Outcome[list[TemplateInfo]]:
        """The templates in ``state`` that the organization may issue: ``GET badge_templates``, all pages."""
        return _collected(self.template_pages(state))

    def template_pages(self, state: str = "active") -> Iterator[Outcome[Page[TemplateInfo]]]:
        """The same page by page, each asked for when it is needed; an outcome that is not Confirmed is the last."""
        query = {"filter": _filter({"state": state}), "sort": "created_at"}
        for outcome in self._pages("badge_templates", parsing.template, query):
            if isinstance(outcome, Confirmed):
                page = outcome.value
                yield Confirmed(Page([each for each in page.items if each.state == state], page.total_pages))
            else:
                yield outcome

    def template(self, template_id: UUID) -> Outcome[TemplateInfo]:
        """One template, in whatever state: ``GET badge_templates/{id}``."""
        return self._transport.read(f"{self._home}/badge_templates/{template_id}", {}, parsing.one(parsing.template))

    def event(self, event_id: UUID) -> Outcome[CredlyEvent]:
        """One event: ``GET events/{id}``. Rejected with status 404: Credly never sent it (section 9.3)."""
        return self._transport.read(f"{self._home}/events/{event_id}", {}, parsing.one(parsing.event))

    def events(self) -> Outcome[list[CredlyEvent]]:
        """All events that Credly still lists, in its order (not documented): ``GET events``, all pages."""
        return self._every("events", parsing.event, {})

    def event_page(self, number: int) -> Outcome[Page[CredlyEvent]]:
        """One page (from 1) of the same."""
        return self._transport.read(f"{self._home}/events", {"page": str(number)}, parsing.page(parsing.event))

    def key_dates(self) -> Outcome[KeyDates | None]:
        """When our own key was made and when it expires: ``GET authorization_tokens``, all pages.

        Credly lists the keys themselves (section 3.2): no other key's value or dates leave this method. None if ours is
        not among them; a key without the right to list them gets Unauthorized.
        """
        outcome = self._every("authorization_tokens", parsing.key_dates(self._api_key), {})
        if not isinstance(outcome, Confirmed):
            return outcome
        return Confirmed(next((dates for dates in outcome.value if dates.is_ours), None))

    def _every(self, listing: str, parse: Callable[[object], R], query: Mapping[str, str]) -> Outcome[list[R]]:
        """All items of a listing."""
        return _collected(self._pages(listing, parse, query))

    def _pages(
        self, listing: str, parse: Callable[[object], R], query: Mapping[str, str]
    ) -> Iterator[Outcome[Page[R]]]:
        """A listing page by page, by number, each item once; an outcome that is not Confirmed is the last.

        ``next_page_url`` is never followed: it may lose the filter and may name another host (section 2).
        """
        seen: set[UUID] = set()
        for number in range(1, MOST_PAGES + 1):
            outcome = self._transport.read(
                f"{self._home}/{listing}", {**query, "page": str(number)}, parsing.page(parse)
            )
            if not isinstance(outcome, Confirmed):
                yield outcome
                return
            fresh = {item.id: item for item in outcome.value.items if item.id not in seen}
            seen.update(fresh)
            yield Confirmed(Page(list(fresh.values()), outcome.value.total_pages))
            if outcome.value.is_last(number) or not fresh:
                return
        yield Unavailable(f"the listing of {listing} did not end after {MOST_PAGES} pages")


def _collected(pages: Iterable[Outcome[Page[R]]]) -> Outcome[list[R]]:
    """The items of all pages, or the outcome that was not Confirmed."""
    found: list[R] = []
    for outcome in pages:
        if not isinstance(outcome, Confirmed):
            return outcome
        found += outcome.value.items
    return Confirmed(found)


def _filter(wanted: Mapping[str, str | None]) -> str:
    """Credly's classic filter, ``key::value|key::value`` (section 2), of the values that are given.

    The grammar has no escape: a value with a separator in it is left to the filtering of the answer.
    """
    return "|".join(
        f"{key}::{value}"
        for key, value in wanted.items()
        if value is not None and "|" not in value and "::" not in value and (key == "state" or "," not in value)
    )


def _same_address(one: str | None, other: str) -> bool:
    return one is not None and one.casefold() == other.casefold()
