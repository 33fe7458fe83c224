"""What a server counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from higlass_plugin.registry.tilesets import TilesetRegistry


class RegistryMetrics:
    """``TilesetRegistry.metrics()`` for Prometheus."""

    def __init__(self, registry: TilesetRegistry):
        self.registry = registry

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        for name, value in self.registry.metrics().items():
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            yield kind(f"orca_cool_{name}", name.replace("_", " "), value=value)
