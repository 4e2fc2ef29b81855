"""Charts of numbers per day."""

import json
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise

from pipeline.reports.trends import Trend

LABELS = "#6b7280"
"""Color of a chart's texts: Chart.js draws on a canvas and takes no style sheet; this gray is read on light and on dark."""


@dataclass(frozen=True)
class Chart:
    """Numbers per day: as Chart.js takes them, and as rows of a table for those who can't see it."""

    title: str | Promise
    names: list[str | Promise]
    trend: Trend
    colors: list[str]

    @property
    def data(self) -> str:
        """Chart.js's `data` as JSON."""
        labels = [f"{day:%d %b}" for day in self.trend.days]
        datasets = [
            {"label": str(name), "data": numbers, "backgroundColor": f"var(--color-{color})"}
            for name, numbers, color in zip(self.names, self.trend.series.values(), self.colors, strict=True)
        ]
        return json.dumps({"labels": labels, "datasets": datasets})

    @property
    def options(self) -> str:
        """Chart.js's `options` as JSON: bars upon each other, with a legend."""
        ticks = {"color": LABELS, "precision": 0}
        return json.dumps(
            {
                "animation": False,
                "maintainAspectRatio": False,
                "plugins": {"legend": {"position": "bottom", "labels": {"color": LABELS, "boxWidth": 12}}},
                "scales": {
                    "x": {"stacked": True, "ticks": ticks, "grid": {"display": False}},
                    "y": {"stacked": True, "ticks": ticks, "grid": {}, "beginAtZero": True},
                },
            }
        )

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """A day and its numbers, newest first."""
        return list(zip(self.trend.days, *self.trend.series.values(), strict=True))[::-1]
