"""What Prometheus would read."""

import time
from dataclasses import dataclass, field

import pytest
from django.test import Client
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from pipeline.metrics.exposition import Exposition


@dataclass(frozen=True)
class Scraped:
    """The metrics of one scrape."""

    families: list[Metric]
    at: float = field(default_factory=time.time)

    def values(self, name: str, **labels: str) -> list[float]:
        """Of all samples of this name that have these labels."""
        samples = (sample for family in self.families for sample in family.samples if sample.name == name)
        return [sample.value for sample in samples if labels.items() <= sample.labels.items()]

    def value(self, name: str, **labels: str) -> float:
        """Of the only one."""
        [value] = self.values(name, **labels)
        return value

    @property
    def names(self) -> set[str]:
        """Of all samples, also those of families that have none yet."""
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
        return {family.name + suffix for family in self.families for suffix in suffixes.get(family.type, ("",))}


def scrape(monkeypatch: pytest.MonkeyPatch) -> Scraped:
    """The page as it is now, made anew, as it is where it is open."""
    monkeypatch.setattr("pipeline.web.metrics.exposition", Exposition())
    answer = Client().get("/metrics")
    assert answer.status_code == 200
    return read(answer.text)


def read(page: str) -> Scraped:
    """The metrics of a page."""
    return Scraped(list(text_string_to_metric_families(page)))
