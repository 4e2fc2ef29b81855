"""Fingerprints of rules: has a template changed since?"""

import hashlib
from dataclasses import fields, is_dataclass

from pipeline import rules


def fingerprint(template: rules.Template) -> str:
    """The same 64 characters for the same rules, in any process; others once a rule was changed or written anew."""
    return hashlib.sha256(repr(_plain(template)).encode()).hexdigest()


def _plain(part: object) -> object:
    """The part with what tells it from others, and in one order."""
    if is_dataclass(part):
        return [_plain(getattr(part, field.name)) for field in fields(part) if field.init]
    if isinstance(part, tuple):
        return [_plain(each) for each in part]
    if isinstance(part, frozenset):
        return sorted(part)
    return part
