"""The meaning of badge rules, in pure Python: operators, the compiled ruleset, occurrences, and standing.

Nothing here knows Django, learners or storage; design.md section 4 is the source of the meaning.
"""

from .occurrences import Occurrence, Tally, decide, occurrences_of, tallies
from .operators import (
    LONGEST_TEXT_OF_VALUE,
    OPERATORS,
    Key,
    Kind,
    compiled,
    key_of,
    keys_for,
    lines,
    parse_boolean,
    parse_number,
    parse_time,
    text_of,
    value_at,
)
from .ruleset import Match, Penalty, Requirement, Rule, Ruleset, Template
from .standing import Decision, complete, earned_at, groups, supersedes

__all__ = [
    "LONGEST_TEXT_OF_VALUE",
    "OPERATORS",
    "Decision",
    "Key",
    "Kind",
    "Match",
    "Occurrence",
    "Penalty",
    "Requirement",
    "Rule",
    "Ruleset",
    "Tally",
    "Template",
    "compiled",
    "complete",
    "decide",
    "earned_at",
    "groups",
    "key_of",
    "keys_for",
    "lines",
    "occurrences_of",
    "parse_boolean",
    "parse_number",
    "parse_time",
    "supersedes",
    "tallies",
    "text_of",
    "value_at",
]
