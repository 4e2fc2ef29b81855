"""The meaning of badge rules, in pure Python: operators, the compiled ruleset, occurrences, progress, and standing.

Nothing here knows Django, learners or storage; design.md section 4 is the source of the meaning.
"""

from .occurrences import MOST_LOOKED_AT, Occurrence, Tally, decide, tallies
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
from .progress import Occurrences, Progress
from .ruleset import Match, Penalty, Requirement, Rule, Ruleset, Template
from .standing import Decision, complete, earned_at, groups, supersedes

__all__ = [
    "LONGEST_TEXT_OF_VALUE",
    "MOST_LOOKED_AT",
    "OPERATORS",
    "Decision",
    "Key",
    "Kind",
    "Match",
    "Occurrence",
    "Occurrences",
    "Penalty",
    "Progress",
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
    "parse_boolean",
    "parse_number",
    "parse_time",
    "supersedes",
    "tallies",
    "text_of",
    "value_at",
]
