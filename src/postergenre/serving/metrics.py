"""What Prometheus may ask: all of it is counted in the one process that speaks HTTP."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest


class Metrics:
    """Counters of one server."""

    def __init__(self, *, waiting: Callable[[], int], replaced: Callable[[], int]) -> None:
        """Begin at nought.

        Args:
            waiting: Tells how many posters are accepted and not yet answered.
            replaced: Tells how many workers died and were started again.
        """
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "postergenre_requests", "Requests answered", ["path", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "postergenre_request_seconds", "From a request's first byte to the end of its answer", ["path"],
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30), registry=self.registry,
        )  # fmt: skip
        self._batches = Histogram(
            "postergenre_batch_posters", "Posters that were computed together",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128), registry=self.registry,
        )  # fmt: skip
        gauges = (
            ("postergenre_waiting_posters", "Posters accepted and not yet answered", waiting),
            ("postergenre_replaced_workers", "Workers that died and were started again", replaced),
        )
        for name, text, ask in gauges:
            Gauge(name, text, registry=self.registry).set_function(ask)

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def computed(self, batch: int) -> None:
        """Count a batch of that many posters; 0 counts nothing."""
        if batch:
            self._batches.observe(batch)

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self.registry)
