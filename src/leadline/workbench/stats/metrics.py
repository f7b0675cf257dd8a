"""The office's health as Prometheus text. Computed when asked, so every process answers the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from leadline.workbench.stats.access import Check

_UNITS = {
    "s": ("leadline_age_seconds", "Age of the oldest, or since the last, by what was looked at."),
    "share": ("leadline_free_ratio", "Share that is free."),
    "count": ("leadline_count", "How many."),
}


class _Checks(Collector):
    def __init__(self, checks: Sequence[Check]) -> None:
        self._checks = checks

    def collect(self) -> Iterator[GaugeMetricFamily]:
        states = GaugeMetricFamily("leadline_ok", "1 where all is well, else 0.", labels=["check"])
        for check in self._checks:
            if check.state != "off":
                states.add_metric([check.name], float(check.state == "ok"))
        yield states
        for unit, (name, text) in _UNITS.items():
            family = GaugeMetricFamily(name, text, labels=["check"])
            for check in self._checks:
                if check.unit == unit and check.value is not None:
                    family.add_metric([check.name], check.value)
            yield family


def write_metrics(checks: Sequence[Check]) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Checks(checks))
    return generate_latest(registry)
