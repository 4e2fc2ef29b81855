"""The event feed (facts/credly-api.md, sections 9.4 and 9.5)."""

from pipeline.credly.emulator.call import Answer, Call, success
from pipeline.credly.emulator.errors import not_found
from pipeline.credly.emulator.query import parse_query
from pipeline.credly.emulator.rendering import event_object


def list_events(call: Call) -> Answer:
    """The organization's events."""
    mine = [event for event in call.state.events.values() if event.organization is call.organization]
    if call.state.switches.events_order == "newest_first":
        mine.reverse()
    return call.page(mine, parse_query(call.arguments), event_object)


def get_event(call: Call) -> Answer:
    """One event."""
    event = call.state.events.get(call.ids["event"])
    if event is None or event.organization is not call.organization:
        raise not_found("Event")
    return success(event_object(call.state, event))
