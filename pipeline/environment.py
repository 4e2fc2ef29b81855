"""Typed reading of settings: from the environment first, then the `BADGES_CFG` file, then the default.

A value that does not fit ends the process with one line that names the variable (or the file and its key), shows what
was found and says what is allowed: the person who starts the process needs that line and no traceback.
"""

import copy
import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import yaml

TRUE_WORDS = frozenset({"true", "1", "yes", "on"})
FALSE_WORDS = frozenset({"false", "0", "no", "off", ""})
REQUIRED = object()


class ConfigurationError(SystemExit):
    """A setting has a value that does not fit.  The message is one line: name, value, what is allowed.

    Being a SystemExit it ends any process, whoever imports the settings, with that line on standard error and status 1.
    """

    def __init__(self, message: str) -> None:
        super().__init__(f"Configuration error: {message}")


@dataclass(frozen=True)
class Lookup:
    """What was asked of the environment: the default (`REQUIRED`: none) and, in words, what is allowed."""

    default: Any
    allowed: str


class Environment:
    """The three layers a setting is looked up in.

    Args:
        variables: the process environment.
        file: the parsed `BADGES_CFG` file; its top-level keys are Django setting names.
        file_name: that file's path, for messages.
    """

    def __init__(self, variables: Mapping[str, str], file: Mapping[str, Any], file_name: str = "BADGES_CFG") -> None:
        self._variables = variables
        self._file = file
        self._file_name = file_name
        self.looked_up: dict[str, Lookup] = {}
        """Every setting asked for so far, by name."""

    @classmethod
    def load(cls, variables: Mapping[str, str]) -> "Environment":
        """Read the file that the variable `BADGES_CFG` names, if it is set.

        Raises:
            ConfigurationError: the file can't be read, is no YAML, or is no mapping of setting names.
        """
        name = variables.get("BADGES_CFG", "")
        if not name:
            return cls(variables, {})
        try:
            with open(name, encoding="utf-8") as stream:
                content = yaml.safe_load(stream)
        except OSError as error:
            raise ConfigurationError(f"BADGES_CFG: can't read {name!r}: {error.strerror}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"BADGES_CFG: {name} is not YAML: {' '.join(str(error).split())}") from error
        content = {} if content is None else content
        if not isinstance(content, dict):
            raise ConfigurationError(f"BADGES_CFG: {name} must be a mapping of setting names to values")
        for key in content:
            if not (isinstance(key, str) and key.isupper()):
                raise ConfigurationError(f"BADGES_CFG: {name}: {key!r} is no setting name (those are in upper case)")
        return cls(variables, content, name)

    def text(self, name: str, default: Any = REQUIRED) -> str:
        """A text; empty counts as not set."""
        return str(self._read(name, default, _text, "a text"))

    def boolean(self, name: str, default: bool) -> bool:
        """`true` or `false` (also 1/0, yes/no, on/off, in any case)."""
        return bool(self._read(name, default, _boolean, "true or false"))

    def integer(self, name: str, default: int, minimum: int = 0) -> int:
        """A whole number of at least `minimum`."""
        return int(self._read(name, default, lambda value: _integer(value, minimum), f"a whole number from {minimum}"))

    def words(self, name: str, default: list[str], *, secret: bool = False) -> list[str]:
        """A comma list in the environment, a list in the file; a `secret` one is never shown."""
        return list(self._read(name, default, _words, "a comma list", secret=secret))

    def url(self, name: str, default: Any, schemes: tuple[str, ...], *, secret: bool = True) -> str:
        """An absolute URL with one of `schemes`; it may hold a password and then is never shown."""
        allowed = "a URL that starts with " + " or ".join(f"{scheme}://" for scheme in schemes)
        return str(self._read(name, default, lambda value: _url(value, schemes), allowed, secret=secret))

    def keys_by_organization(self, name: str) -> dict[str, str]:
        """A JSON object organization UUID to API key, UUIDs in canonical form.  Its values are never shown."""
        allowed = 'a JSON object {"organization UUID": "API key"} without empty keys'
        return dict(self._read(name, {}, keys_by_organization, allowed, secret=True))

    def mapping(self, name: str, default: Mapping[str, Any]) -> dict[str, Any]:
        """The file's mapping of that name merged over the default, level by level."""
        self.looked_up[name] = Lookup(default, "a mapping")
        override = self._file.get(name)
        if override is None:
            return copy.deepcopy(dict(default))
        if not isinstance(override, dict):
            raise self._refusal(f"{name} in {self._file_name}", override, "a mapping")
        return merged(default, override)

    def others(self) -> dict[str, Any]:
        """The file's settings that were not looked up: they are Django's or a library's, and taken as they are."""
        return {name: value for name, value in self._file.items() if name not in self.looked_up}

    def _read(
        self, name: str, default: Any, convert: Callable[[Any], Any], allowed: str, *, secret: bool = False
    ) -> Any:
        """The first layer that has the setting decides; its value goes through `convert`."""
        self.looked_up[name] = Lookup(default, allowed)
        layers = ((self._variables, name), (self._file, f"{name} in {self._file_name}"))
        for layer, label in layers:
            value = layer.get(name)
            if value is None or value == "":
                continue
            try:
                return convert(value)
            except (ValueError, TypeError):
                raise self._refusal(label, "(not shown)" if secret else value, allowed) from None
        if default is REQUIRED:
            raise ConfigurationError(f"{name} is required: set it in the environment or in the BADGES_CFG file")
        return default

    @staticmethod
    def _refusal(label: str, value: Any, allowed: str) -> ConfigurationError:
        return ConfigurationError(f"{label}: {value!r} is not allowed; it must be {allowed}")


def merged(default: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """`override` laid over `default`: nested mappings level by level, everything else replaced."""
    result = copy.deepcopy(dict(default))
    for key, value in override.items():
        below = result.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            result[key] = merged(below, value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def addresses(url: str) -> list[str]:
    """The nodes of a cluster, of which a URL may name several with `;` in between."""
    return re.split(r";(?=\w+://)", url)


def keys_by_organization(value: Any) -> dict[str, str]:
    """Organization UUIDs (canonical form) to API keys, from JSON text or a mapping.

    Raises:
        ValueError: it is no such mapping.
    """
    content = json.loads(value) if isinstance(value, str) else value
    if not isinstance(content, dict) or not all(isinstance(key, str) and key for key in content.values()):
        raise ValueError("not a mapping of UUID to key")
    return {str(uuid.UUID(organization)): key for organization, key in content.items()}


def _text(value: Any) -> str:
    if isinstance(value, (dict, list, bool)):
        raise TypeError("not a text")
    return str(value)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word not in TRUE_WORDS | FALSE_WORDS:
        raise ValueError("not a boolean")
    return word in TRUE_WORDS


def _integer(value: Any, minimum: int) -> int:
    if isinstance(value, bool):
        raise TypeError("not a number")
    number = int(value)
    if number < minimum:
        raise ValueError("too small")
    return number


def _words(value: Any) -> list[str]:
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise TypeError("not a list of texts")
    return [word.strip() for word in words if word.strip()]


def _url(value: Any, schemes: tuple[str, ...]) -> str:
    text = _text(value)
    for address in addresses(text):
        parts = urlsplit(address)
        if parts.scheme not in schemes or parts.port == 0:  # `port` raises ValueError where it is no number
            raise ValueError("not such a URL")
    return text
