"""Switching from the badges app of openedx/credentials, here called the peer: what it knows is taken over."""
