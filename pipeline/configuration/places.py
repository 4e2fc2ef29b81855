"""The places of a YAML file: each value knows its line and path, so that every error can say where it is.

A place that is missing or refused reads as an empty value of its type: reading goes on and collects every
problem of the file.  So `Report.raise_problems` must be called before what was read is used.
"""

import difflib
import re
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import NoReturn
from uuid import UUID

import yaml

MAX_BYTES = 5_000_000
"""Largest file that is read; PyYAML takes about two seconds for each of its megabytes."""

MAX_PLACES = 500_000
"""Most values that are read.  Aliases let a small file repeat itself without bounds."""

NO_UUID = UUID(int=0)
"""Stands for a UUID that is missing or was refused."""

_NULL = "tag:yaml.org,2002:null"
_KINDS = {
    "tag:yaml.org,2002:str": "a text",
    "tag:yaml.org,2002:value": "a text",  # a single =
    "tag:yaml.org,2002:bool": "a boolean",
    "tag:yaml.org,2002:int": "a number",
    "tag:yaml.org,2002:float": "a number",
    "tag:yaml.org,2002:timestamp": "a date",
    "tag:yaml.org,2002:seq": "a list",
    "tag:yaml.org,2002:map": "a mapping",
}
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_DIGITS = re.compile(r"0|-?[1-9][0-9]{0,8}")
_SHOWN_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a file; its text is `FILE:LINE: path: message; allowed: ...`."""

    file: str
    line: int
    path: str
    message: str
    allowed: str = ""

    def __str__(self) -> str:
        path = f"{self.path}: " if self.path else ""
        allowed = f"; allowed: {self.allowed}" if self.allowed else ""
        return f"{self.file}:{self.line}: {path}{self.message}{allowed}"


class DocumentError(ValueError):
    """A file is refused.  `problems` has everything that is wrong with it, in the order of its lines."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: problem.line)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Report:
    """The problems found in one file so far, in `warnings` what is allowed but worth a look, in `named` where UUIDs stand."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.warnings: list[Problem] = []
        self.named: list[tuple[Place, UUID]] = []
        self._problems: list[Problem] = []
        self._places = 0

    def add(self, line: int, path: str, message: str, allowed: str = "") -> None:
        """Note a problem."""
        self._problems.append(Problem(self.file, line, path, message, allowed))

    @property
    def problems_noted(self) -> int:
        """How many problems were noted so far."""
        return len(self._problems)

    def count_place(self, line: int, path: str) -> None:
        """Count a value that is about to be read.

        Raises:
            DocumentError: there were too many.
        """
        self._places += 1
        if self._places > MAX_PLACES:
            self.add(line, path, f"the file has more than {MAX_PLACES} values, aliases followed")
            raise DocumentError(self._problems)

    def raise_problems(self) -> None:
        """Return if the file is fine.

        Raises:
            DocumentError: it is not.
        """
        if self._problems:
            raise DocumentError(self._problems)


class Place:
    """A value of the file, or (`present` is false) the lack of one.

    Each reading method returns the empty value of its type when the value is missing, and also when it does
    not fit: then the problem is in the report.
    """

    def __init__(self, node: yaml.Node | None, line: int, path: str, report: Report) -> None:
        report.count_place(line, path)
        self._node = None if node is None or node.tag == _NULL else node
        self._line = line
        self._path = path
        self._report = report

    @property
    def present(self) -> bool:
        """Whether the file has a value here; an empty one (YAML null) counts as none."""
        return self._node is not None

    @property
    def kind(self) -> str:
        """What stands here, in words: "a text", "a boolean", "a list" and so on; "empty" for nothing."""
        if self._node is None:
            return "empty"
        return _KINDS.get(self._node.tag, "a value of another type")

    @property
    def _found(self) -> str:
        """What stands here, in words, with its value if it has one: "the number '2.5'".  Not for places of secrets."""
        if not isinstance(self._node, yaml.ScalarNode):
            return self.kind
        return f"{self.kind.replace('a ', 'the ', 1)} {_shown(self._node.value)}"

    @property
    def problems_noted(self) -> int:
        """How many problems were noted so far in the whole file."""
        return self._report.problems_noted

    def refuse(self, message: str, allowed: str = "") -> None:
        """Note that something is wrong here."""
        self._report.add(self._line, self._path, message, allowed)

    def warn(self, message: str) -> None:
        """Note that something here is worth a look, though allowed."""
        self._report.warnings.append(Problem(self._report.file, self._line, self._path, message))

    def name(self, uuid: UUID) -> None:
        """Note that what stands here names something that may or may not be there."""
        self._report.named.append((self, uuid))

    def mapping(self, required: Collection[str], optional: Collection[str] = ()) -> dict[str, "Place"]:
        """The places below a mapping, one for every key of `required` and `optional`, present or not."""
        keys = [*required, *optional]
        found: dict[str, Place] = {}
        if isinstance(self._node, yaml.MappingNode) and self.kind == "a mapping":
            found = self._children(self._node, keys)
            for key in required:
                if key not in found or not found[key].present:
                    self._below(None, key, found.get(key)).refuse("is missing")
        elif self.present:
            self.refuse(f"must be a mapping, not {self.kind}", ", ".join(keys))
        return {key: found.get(key) or self._below(None, key) for key in keys}

    def entries(self, at_least_one: str = "") -> list["Place"]:
        """The places of a list's values; `at_least_one` names what an empty list lacks."""
        if not isinstance(self._node, yaml.SequenceNode) or self.kind != "a list":
            if self.present:
                self.refuse(f"must be a list, not {self.kind}")
            return []
        if at_least_one and not self._node.value:
            self.refuse(f"needs at least one {at_least_one}")
        places = [
            Place(node, _line(node), f"{self._path}[{index}]", self._report)
            for index, node in enumerate(self._node.value)
        ]
        for place in places:
            if not place.present:
                place.refuse("must not be empty")
        return [place for place in places if place.present]

    def text(self, max_length: int | None = None, *, blank: bool = False) -> str:
        """A text that the tables can hold."""
        if isinstance(self._node, yaml.ScalarNode) and self.kind == "a text":
            return self._storable(self._node.value, max_length, blank)
        if self.present:
            self.refuse(f"must be a text, not {self.kind}")
        return ""

    def scalar(self, max_length: int, *, blank: bool = False) -> str:
        """A text, or the text of an unquoted boolean, number or date as it was written."""
        if isinstance(self._node, yaml.ScalarNode):
            return self._storable(self._node.value, max_length, blank)
        return self.text()

    def boolean(self) -> bool:
        """An unquoted `true` or `false` (YAML 1.1 also knows yes, no, on, off)."""
        if isinstance(self._node, yaml.ScalarNode) and self.kind == "a boolean":
            return _BOOLEANS.get(self._node.value.lower(), False)
        if self.present:
            self.refuse(f"must be a boolean, not {self._found}", "true, false")
        return False

    def whole_number(self, default: int) -> int:
        """A whole number in decimal digits, or the default when there is none."""
        if isinstance(self._node, yaml.ScalarNode) and self.kind == "a number" and _DIGITS.fullmatch(self._node.value):
            return int(self._node.value)
        if self.present:
            self.refuse(f"must be a whole number, not {self._found}", "digits only, such as 5")
        return default

    def uuid(self) -> UUID:
        """A UUID in its usual form with hyphens; `NO_UUID` when there is none."""
        text = self.text()
        try:
            value = UUID(text)
        except ValueError:
            value = NO_UUID
        if text and (value == NO_UUID or str(value) != text.lower()):
            self.refuse(f"{_shown(text)} is not a UUID")
            return NO_UUID
        return value

    def choice(self, allowed: Collection[str], what: str) -> str:
        """A text that is one of `allowed`; `what` names one of them in the error."""
        text = self.text()
        if text and text not in allowed:
            self.refuse(f"{_shown(text)} is not {what}", ", ".join(allowed) or "none")
            return ""
        return text

    def unique(self, value: Hashable, seen: dict[Hashable, "Place"]) -> None:
        """Refuse the value read here if `seen` has it, else add it.  Empty values are no duplicates."""
        if value in ("", NO_UUID):
            return
        first = seen.setdefault(value, self)
        if first is not self:
            self.refuse(f"{str(value)!r} is used already, in line {first._line}")

    def _children(self, node: yaml.MappingNode, keys: Sequence[str]) -> dict[str, "Place"]:
        """The places of the mapping's own keys.  Unknown and repeated keys are refused."""
        found: dict[str, Place] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else ""
            place = self._below(key_node, key)
            if key not in keys:
                near = difflib.get_close_matches(key, keys, n=1)
                hint = f", did you mean {near[0]!r}?" if near else ""
                place.refuse(f"{_shown(key)} is not a known key{hint}", ", ".join(keys))
            elif key in found:
                place.refuse(f"the key stands here already, in line {found[key]._line}")
            else:
                found[key] = self._below(value_node, key)
        return found

    def _below(self, node: yaml.Node | None, key: str, instead: "Place | None" = None) -> "Place":
        """The place of a mapping's key; without a value its line is that of `instead`, else the mapping's."""
        line = _line(node) if node is not None else (instead or self)._line
        step = _shortened(key) if key.isprintable() else _shown(key)
        path = f"{self._path}.{step}" if self._path else step
        return Place(node, line, path, self._report)

    def _storable(self, text: str, max_length: int | None, blank: bool) -> str:
        """The text if a table can hold it: PostgreSQL takes no NUL, and half a surrogate pair is no UTF-8."""
        if not text.strip() and not blank:
            self.refuse("must not be empty")
        elif max_length is not None and len(text) > max_length:
            self.refuse(f"is too long: {len(text)} characters", f"up to {max_length}")
        elif "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            self.refuse("has a character that can't be stored (NUL or half a surrogate pair)")
        else:
            return text
        return ""


def parse_yaml(content: bytes, report: Report) -> Place:
    """The topmost place of a YAML text.

    Raises:
        DocumentError: it is too large, empty, not UTF-8 or not YAML.
    """
    if len(content) > MAX_BYTES:
        _fail(report, 1, f"the file has more than {MAX_BYTES} bytes")
    try:
        node = yaml.compose(content.decode("utf-8"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        _fail(report, content.count(b"\n", 0, error.start) + 1, "not UTF-8")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        _fail(report, mark.line + 1 if mark else 1, f"not YAML: {error.problem or error.context}")
    except yaml.reader.ReaderError as error:
        text = content.decode("utf-8")
        _fail(report, text.count("\n", 0, error.position) + 1, f"not YAML: {error.reason}")
    except RecursionError:
        _fail(report, 1, "not a badge configuration: nested too deeply")
    if node is None or node.tag == _NULL:
        _fail(report, 1, "the file is empty")
    return Place(node, _line(node), "", report)


def _fail(report: Report, line: int, message: str) -> NoReturn:
    raise DocumentError([Problem(report.file, line, "", message)])


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _shown(text: str) -> str:
    return repr(_shortened(text))


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
