"""What the service counts, for Prometheus. The only module that imports prometheus_client."""

from ...hub.errors import MissingExtra

try:
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
except ImportError:
    raise MissingExtra("prometheus_client", extra="serve", needed_for="The search service") from None

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counters of one service, in a registry of their own: two services in a process do not share them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("goodviews_requests", "Requests answered", ["path", "status"], registry=self.registry)
        self.seconds = Histogram(
            "goodviews_request_seconds", "Time to answer", ["path"], buckets=_SECONDS, registry=self.registry
        )
        self.under_way = Gauge("goodviews_requests_under_way", "Requests being answered", registry=self.registry)
        self.batch = Histogram(
            "goodviews_batch_photos", "Photos of a run of the network", buckets=_SIZES, registry=self.registry
        )
        self.images = Gauge("goodviews_index_images", "Photos in an index", ["index"], registry=self.registry)
        self.reloads = Counter(
            "goodviews_index_reloads", "Times an index was read anew", ["index", "result"], registry=self.registry
        )

    def text(self) -> bytes:
        """All of them as Prometheus reads them."""
        return generate_latest(self.registry)
