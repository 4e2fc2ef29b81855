"""The page for the curious operator: what the emulator holds and what it was lately asked."""

from collections import Counter
from collections.abc import Iterable
from html import escape
from itertools import islice

from pipeline.credly.emulator.control import CALLS
from pipeline.credly.emulator.journal import Entry
from pipeline.credly.emulator.world import World

RECENT = 50
"""Calls shown, the newest first."""

_STYLE = "body{font:15px sans-serif;margin:2em} td,th{padding:.2em .8em;text-align:left} table{margin:1em 0}"


def render(world: World) -> str:
    """The page as HTML. It shows counts and ids, no tokens, names of learners or addresses."""
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Credly emulator</title>"
        f"<style>{_STYLE}</style></head><body><h1>Credly emulator</h1>"
        f"<p>API: <code>{escape(world.state.base_url)}/v1/</code>,"
        f" control: <code>{escape(world.state.base_url)}/control/</code></p>"
        "<h2>Organizations</h2>"
        + _table(("Organization", "Name"), ((o.id, o.name) for o in world.state.organizations.values()))
        + "<h2>Templates</h2>"
        + _table(
            ("Template", "Name", "State", "Organization", "Issued"),
            ((t.id, t.name, t.state, t.owner.name, str(t.badges_count)) for t in world.state.templates.values()),
        )
        + "<h2>Badges</h2>"
        + _table(
            ("State", "Number"),
            (
                (state, str(number))
                for state, number in sorted(Counter(b.state for b in world.state.badges.values()).items())
            ),
        )
        + "<h2>Recent calls</h2>"
        + _table(
            ("No.", "Time", "Call", "Answer", "Fault"),
            map(_call, islice(reversed(world.journal.entries), RECENT)),
        )
        + "<h2>Control calls</h2>"
        + _table(("Call", "Does"), ((f"{method} /control/{path}", does) for method, path, does in CALLS))
        + "</body></html>"
    )


def _call(entry: Entry) -> tuple[str, ...]:
    return (
        str(entry.sequence),
        entry.time.strftime("%H:%M:%S"),
        f"{entry.method} {entry.path}",
        str(entry.status or "none"),
        entry.fault or "",
    )


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body or '<tr><td>none</td></tr>'}</table>"
