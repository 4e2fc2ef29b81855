"""Issued badges (facts/credly-api.md, section 6)."""

from collections.abc import Iterable
from typing import Any

from pipeline.credly.emulator import issuing
from pipeline.credly.emulator.call import Answer, Call, success
from pipeline.credly.emulator.errors import RefusalError, invalid, not_found
from pipeline.credly.emulator.query import BADGE_FILTERS, Query, parse_query, select
from pipeline.credly.emulator.records import Badge, Event
from pipeline.credly.emulator.rendering import badge_object, minimal_badge_object
from pipeline.credly.emulator.state import INDEXED


def list_badges(call: Call) -> Answer:
    """The organization's badges, oldest first unless sorted."""
    query = parse_query(call.arguments)
    return call.page(_found(call, query), query, badge_object)


def search_badges(call: Call) -> Answer:
    """The bulk search: the same filters, but nothing in the metadata except the next address."""
    query = parse_query(call.arguments)
    minimal = call.arguments.get("badge_format", ["default"])[-1] == "minimal"
    render = minimal_badge_object if minimal else badge_object
    return call.page(_found(call, query), query, render, shown=("next_page_url",))


def get_badge(call: Call) -> Answer:
    """One badge."""
    return success(badge_object(call.state, _badge(call)))


def issue_badge(call: Call) -> Answer:
    """Issue one badge."""
    return _created(call, issuing.issue(call.state, call.organization, call.body))


def issue_batch(call: Call) -> Answer:
    """Issue several badges, all or none: a bad item is named by its index.

    Duplicates are always refused here: no source tells of ``duplicate_behavior`` in a batch.
    """
    items = call.body.get("badges")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise invalid("badges", "can't be blank")
    limit = call.state.switches.batch_limit
    if limit is not None and len(items) > limit:
        raise invalid("badges", f"is too long (maximum is {limit} items)")
    return success(_issue_all(call, items), status=201)


def replace_badge(call: Call) -> Answer:
    """Replace a badge by a corrected one."""
    return _created(call, issuing.replace(call.state, _badge(call), call.body))


def revoke_badge(call: Call) -> Answer:
    """Revoke a badge."""
    return success(badge_object(call.state, issuing.revoke(call.state, _badge(call), call.body)))


def delete_badge(call: Call) -> Answer:
    """Delete a badge."""
    issuing.delete(call.state, _badge(call))
    return Answer(204, "")


def _issue_all(call: Call, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Issue in order; at a refusal take back what was issued. No event is told before all is well."""
    state, announce, events, issued = call.state, call.state.on_event, list[Event](), list[Badge]()
    state.on_event = events.append
    try:
        for index, item in enumerate(items):
            one = {name: value for name, value in item.items() if name != "duplicate_behavior"}
            issued.append(_issue_one(call, one, index))
    except RefusalError:
        for badge, event in zip(issued, events, strict=True):
            state.remove_badge(badge)
            badge.template.badges_count -= 1
            del state.events[event.id]
        raise
    finally:
        state.on_event = announce
    for event in events:
        announce(event)
    return [badge_object(state, badge) for badge in issued]


def _issue_one(call: Call, fields: dict[str, Any], index: int) -> Badge:
    try:
        return issuing.issue(call.state, call.organization, fields)
    except RefusalError as refusal:
        refusal.error_index = index
        raise


def _created(call: Call, badge: Badge) -> Answer:
    address = f"{call.origin}/v1/organizations/{call.organization.id}/badges/{badge.id}"
    return success(badge_object(call.state, badge), status=201, headers={"Location": address})


def _found(call: Call, query: Query) -> list[Badge]:
    mine = (badge for badge in _candidates(call, query) if badge.organization is call.organization)
    return select(call.state, mine, query, BADGE_FILTERS)


def _candidates(call: Call, query: Query) -> Iterable[Badge]:
    """All badges, or by index the few of one learner, so that look-ups stay fast among many."""
    for attribute in INDEXED:
        values = query.filters.get(attribute, [])
        if len(values) == 1:
            return call.state.badges_by(attribute, values[0])
    return call.state.badges.values()


def _badge(call: Call) -> Badge:
    badge = call.state.badges.get(call.ids["badge"])
    if badge is None or badge.organization is not call.organization:
        raise not_found("Badge")
    return badge
