"""What a server counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from higlass_plugin.registry.tilesets import TilesetRegistry


class Metrics:
    """The counts of one server.

    Parameters
    ----------
    registry : its own numbers (``TilesetRegistry.metrics()``) are given too.

    Attributes
    ----------
    requests : number of requests answered, by endpoint and status.
    tile_seconds : seconds that requests for tiles took.
    """

    def __init__(self, registry: TilesetRegistry):
        self._collectors = CollectorRegistry()
        self.requests = Counter(
            "orca_cool_requests",
            "Requests answered.",
            ["endpoint", "status"],
            registry=self._collectors,
        )
        self.tile_seconds = Histogram(
            "orca_cool_tiles_seconds",
            "Seconds that requests for tiles took.",
            buckets=(0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1, 3, 10, 60, 600),
            registry=self._collectors,
        )
        self._collectors.register(_RegistryCollector(registry))

    def text(self) -> bytes:
        """All counts in the text format of Prometheus."""
        return generate_latest(self._collectors)


class _RegistryCollector:
    """The numbers of a registry in the form that prometheus_client collects."""

    def __init__(self, registry: TilesetRegistry):
        self.registry = registry

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        for name, value in self.registry.metrics().items():
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            yield kind(f"orca_cool_{name}", name.replace("_", " "), value=value)
