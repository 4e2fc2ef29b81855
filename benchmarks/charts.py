"""Charts as SVG that reads on light and dark pages alike: lines, or bars that stand on each other."""

import math
from collections.abc import Iterator, Sequence
from html import escape

from benchmarks.results import Chart

WIDTH, HEIGHT = 760, 360
LEFT, RIGHT, TOP, BOTTOM = 70, 40, 80, 50
COLORS = ("#3b82c4", "#d97b2b", "#3f9b6c", "#b4508f", "#8a8a3a", "#7a68c9", "#c0504d", "#4bacc6")
DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 4", "1 4")
"""Lines differ by more than color."""
GRAY = "#888888"


def svg(chart: Chart) -> str:
    """The picture."""
    draw = _bars if chart.labels else _lines
    content = "\n".join(draw(chart))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(chart.heading)}" font-family="system-ui, sans-serif" font-size="12" fill="{GRAY}">\n'
        f"<title>{escape(chart.heading)}</title>\n"
        f"{_text(LEFT, 18, chart.heading, size=14)}\n{content}\n</svg>\n"
    )


def _lines(chart: Chart) -> Iterator[str]:
    points = [point for line in chart.series.values() for point in line]
    places = [_log(x) if chart.logarithmic else x for x, _ in points]
    left, right = min(places), max(places)
    top = _round_up(max(y for _, y in points))
    yield from _frame(chart, top)
    for x in _ticks(chart, points):
        yield _text(_x(_log(x) if chart.logarithmic else x, left, right), HEIGHT - BOTTOM + 18, _short(x), "middle")
    for (name, line), color, dash in zip(chart.series.items(), _cycle(COLORS), _cycle(DASHES), strict=False):
        path = " ".join(f"{_x(_log(x) if chart.logarithmic else x, left, right):.1f},{_y(y, top):.1f}" for x, y in line)
        yield f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2" stroke-dasharray="{dash}">'
        yield f"<title>{escape(name)}</title></polyline>"
    yield from _legend(list(chart.series))


def _bars(chart: Chart) -> Iterator[str]:
    stacked = chart.y.startswith("ms")
    names = list(chart.series)
    values = [[y for _, y in series] for series in chart.series.values()]
    columns = list(zip(*values, strict=True))
    top = _round_up(max(sum(column) if stacked else max(column) for column in columns))
    yield from _frame(chart, top)
    room = (WIDTH - LEFT - RIGHT) / len(columns)
    width = room * 0.7 / (1 if stacked else len(names))
    for place, (label, column) in enumerate(zip(chart.labels, columns, strict=True)):
        start, base = LEFT + room * (place + 0.15), 0.0
        yield _text(LEFT + room * (place + 0.5), HEIGHT - BOTTOM + 18, label, "middle")
        for number, (name, value) in enumerate(zip(names, column, strict=True)):
            x = start if stacked else start + number * width
            y = _y(base + value, top)
            yield (
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{_y(base, top) - y:.1f}" '
                f'fill="{COLORS[number % len(COLORS)]}"><title>{escape(name)}: {value:,.2f}</title></rect>'
            )
            base += value if stacked else 0.0
    yield from _legend(names)


def _frame(chart: Chart, top: float) -> Iterator[str]:
    """Horizontal lines with their values, and what the axes mean."""
    for part in range(5):
        y = _y(top * part / 4, top)
        yield f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="{GRAY}" stroke-opacity="0.3"/>'
        yield _text(LEFT - 8, y + 4, _short(top * part / 4), "end")
    yield _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, chart.x, "middle")
    middle = (TOP + HEIGHT - BOTTOM) / 2
    yield f'<g transform="translate(14 {middle:.0f}) rotate(-90)">{_text(0, 0, chart.y, "middle")}</g>'


def _legend(names: Sequence[str]) -> Iterator[str]:
    x, y = float(LEFT), 38
    for number, name in enumerate(names):
        width = 46 + 6.6 * len(name)
        if x + width > WIDTH:
            x, y = float(LEFT), y + 20
        color, dash = COLORS[number % len(COLORS)], DASHES[number % len(DASHES)]
        line = f'x1="{x:.0f}" y1="{y}" x2="{x + 24:.0f}" y2="{y}" stroke="{color}" stroke-width="4"'
        yield f'<line {line} stroke-dasharray="{dash}"/>'
        yield _text(x + 30, y + 4, name)
        x += width


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(text.replace("`", ""))}</text>'


def _ticks(chart: Chart, points: Sequence[tuple[float, float]]) -> list[float]:
    xs = sorted({x for x, _ in points})
    if len(xs) <= 8:
        return xs
    return [xs[0] + (xs[-1] - xs[0]) * part / 4 for part in range(5)]


def _x(value: float, left: float, right: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * ((value - left) / (right - left) if right > left else 0.5)


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top


def _log(value: float) -> float:
    return math.log10(value)


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 6, 8 or 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= value)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


def _cycle(items: Sequence[str]) -> Iterator[str]:
    while True:
        yield from items
