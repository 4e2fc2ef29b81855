"""The other side of the event bus, for trials: what the LMS publishes, and what it hears back."""
