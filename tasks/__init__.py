"""Celery tasks: one file per stage; beat; and what is common to all.

A task holds its stage's policy, calls its function and hands the ids on.
"""
