"""The settings reference (`docs/settings.md`), made from the settings themselves.

Independent of the environment it is made in: a default that follows from another setting is told in words.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline import settings
from pipeline.environment import REQUIRED, Lookup
from pipeline.reports.setting_meanings import BADGES_CONFIG, PROCESSES, SETTINGS, Group, Meaning

INTRODUCTION = """\
# Settings

<!-- Made by `manage.py settings_reference --output docs/settings.md`; a test fails when it differs. -->

A setting is looked up in the environment, then in the YAML file that `BADGES_CFG` names, then the default counts. An empty
value counts as not set. A value that is not allowed stops the start with one line. How the layers work, with examples:
[configuration](configuration.md). Any other setting of Django may stand in the file.
"""


def page() -> str:
    """The whole page, as Markdown.

    Raises:
        KeyError: a setting has no meaning, or a meaning no setting.
    """
    parts = [
        INTRODUCTION,
        *(_section(group) for group in SETTINGS),
        _variables(),
        _badges_config(),
        _producer_config(),
    ]
    _refuse_what_is_left(set(settings.LOOKED_UP) - {name for group in SETTINGS for name in group.meanings})
    return "\n".join(parts)


def _variables() -> str:
    """Variables that no setting reads: their defaults as the Procfile has them."""
    procfile = dict(re.findall(r"\$\{([A-Z_]+):-([^$}]+)\}", (settings.BASE_DIR / "Procfile").read_text()))
    _refuse_what_is_left(set(procfile) - set(PROCESSES.meanings))
    rows = [
        f"| `{name}` | {meaning.default or _value(procfile[name])} | {meaning.text} |"
        for name, meaning in PROCESSES.meanings.items()
    ]
    head = ["| variable | default | meaning |", "| --- | --- | --- |"]
    return "\n".join([f"## {PROCESSES.title}", "", PROCESSES.text, "", *head, *rows, ""])


def _section(group: Group) -> str:
    rows = [_row(name, meaning) for name, meaning in group.meanings.items()]
    head = ["| setting | default | allowed | meaning |", "| --- | --- | --- | --- |"]
    return "\n".join([f"## {group.title}", "", group.text, "", *head, *rows, ""])


def _row(name: str, meaning: Meaning) -> str:
    lookup: Lookup = settings.LOOKED_UP[name]
    default, allowed = meaning.default or _value(lookup.default), meaning.allowed or lookup.allowed
    return f"| `{name}` | {default} | {allowed} | {meaning.text} |"


def _badges_config() -> str:
    flat = dict(_flat(settings.BADGES_CONFIG_DEFAULTS))
    _refuse_what_is_left(set(flat) ^ set(BADGES_CONFIG))
    rows = [f"| `{path}` | {_value(flat[path])} | {text} |" for path, text in BADGES_CONFIG.items()]
    head = [
        "## BADGES_CONFIG",
        "",
        'Names and defaults of the Open edX documentation, "Badges settings"; merged over the defaults level by level, lists',
        "replaced. `credly.ORGANIZATIONS` is not on that page; the old app reads it too.",
        "",
        "| key | default | meaning |",
        "| --- | --- | --- |",
    ]
    return "\n".join([*head, *rows, ""])


def _producer_config() -> str:
    rows = [
        f"| `{event}` | `{topic}` | `{options['event_key_field']}` | {_value(options['enabled'])} |"
        for event, topics in settings.PRODUCER_CONFIG_DEFAULTS.items()
        for topic, options in topics.items()
    ]
    head = [
        "## EVENT_BUS_PRODUCER_CONFIG",
        "",
        "The defaults; merged as above. A signal that is enabled nowhere ends `disabled`.",
        "",
        "| signal | topic | `event_key_field` | `enabled` |",
        "| --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *rows, ""])


def _flat(content: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def _value(value: Any) -> str:
    if value is REQUIRED:
        return "none; required"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list):
        return ", ".join(f"`{item}`" for item in value) or "empty"
    return f"`{value}`" if value not in ("", {}) else "empty"


def _refuse_what_is_left(names: set[str]) -> None:
    if names:
        raise KeyError(f"pipeline/reports/setting_meanings.py and the settings differ in {', '.join(sorted(names))}")
