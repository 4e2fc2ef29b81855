"""Credly: the client, what its calls come to, and an emulator."""
