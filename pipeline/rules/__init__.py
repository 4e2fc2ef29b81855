"""The meaning of badge rules, in pure Python: operators, the compiled ruleset, and standing.

Nothing here knows Django, learners or storage; design.md section 4 is the source of the meaning.
"""

from .operators import OPERATORS, Key, eq, key_of, keys_for, ne, parse_boolean, value_at
from .ruleset import Match, Penalty, Requirement, Rule, Ruleset, Template
from .standing import Decision, complete, earned_at, groups, supersedes

__all__ = [
    "OPERATORS",
    "Decision",
    "Key",
    "Match",
    "Penalty",
    "Requirement",
    "Rule",
    "Ruleset",
    "Template",
    "complete",
    "earned_at",
    "eq",
    "groups",
    "key_of",
    "keys_for",
    "ne",
    "parse_boolean",
    "supersedes",
    "value_at",
]
