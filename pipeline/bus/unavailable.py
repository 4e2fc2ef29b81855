"""What is raised when the event bus does not answer, whichever bus it is."""


class BusUnavailable(Exception):
    """The event bus did not take an event, or did not say so, or does not answer.  To try again, with the same id, is safe."""


class EventRefused(BusUnavailable):
    """The event bus is there and does not take this event as it is; it may take others."""
