"""What processes measured, added up, as `prometheus_client` writes it."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from pipeline.measures import MEASURES, SUM, Count, Times, shared

Parts = dict[str, float]


def families() -> Iterator[Metric]:
    """All of them, also those that nobody has measured yet.

    Raises:
        redis.exceptions.RedisError, OSError: Redis, which has the sums, does not answer.
    """
    found: defaultdict[str, defaultdict[tuple[str, ...], Parts]] = defaultdict(lambda: defaultdict(dict))
    for (name, *given, part), value in shared().items():
        found[name][tuple(given)][part] = value
    for measure in MEASURES:
        rows = found[measure.name]
        if isinstance(measure, Times):
            yield _histogram(measure, rows)
            continue
        family = CounterMetricFamily if isinstance(measure, Count) else GaugeMetricFamily
        metric = family(measure.name, measure.meaning, labels=measure.labels)
        for values, parts in _with_these(measure.labels, ("",), rows):
            metric.add_metric(values, parts[""])
        yield metric


def _histogram(measure: Times, rows: dict[tuple[str, ...], Parts]) -> HistogramMetricFamily:
    """Redis has each bucket by itself; Prometheus wants each to hold the smaller ones too."""
    metric = HistogramMetricFamily(measure.name, measure.meaning, labels=measure.labels)
    for values, parts in _with_these(measure.labels, measure.parts, rows):
        counts = accumulate(parts.get(bucket, 0.0) for bucket in measure.parts)
        metric.add_metric(values, list(zip(measure.parts, counts, strict=True)), parts.get(SUM, 0.0))
    return metric


def _with_these(
    names: tuple[str, ...], parts: tuple[str, ...], rows: dict[tuple[str, ...], Parts]
) -> Iterator[tuple[tuple[str, ...], Parts]]:
    """What a process of another version measured under the same name, with other labels or as another kind, can't be told."""
    return (
        (values, found)
        for values, found in rows.items()
        if len(values) == len(names) and not found.keys().isdisjoint(parts)
    )
