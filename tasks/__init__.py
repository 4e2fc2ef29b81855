"""Celery tasks: one file per stage; and beat.  A task holds its stage's policy, calls its function and hands the ids on."""
