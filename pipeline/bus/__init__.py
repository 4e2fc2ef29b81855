"""The event bus: which events there are, how a message is read and written, and the Redis streams that carry it."""
