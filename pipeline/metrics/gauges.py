"""Gauges with their samples, as `prometheus_client` writes them."""

from collections.abc import Mapping

from prometheus_client.core import GaugeMetricFamily


def gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    """A gauge of one number."""
    return GaugeMetricFamily(name, meaning, value=value)


def gauge_by(label: str, name: str, meaning: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    """A gauge with a number per value of its only label."""
    family = GaugeMetricFamily(name, meaning, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family
