"""The most that the service takes and gives, in one place."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What one request may bring and ask for, and how many may wait.

    Attributes:
        body: bytes of a request.
        pixels: of a photo, counted before it is decoded.
        photos: of one request for vectors.
        batch: photos that the network takes at once.
        requests: that may be under way; more are answered 503.
        body_s: seconds that a body may take to arrive.
        results: of one answer.
        deepest: how far down a ranking the answers reach.
        map_points: photos on the map; of more, as many are drawn at random.
    """

    body: int = 20 * 2**20
    pixels: int = 60_000_000
    photos: int = 64
    batch: int = 32
    requests: int = 128
    body_s: float = 60.0
    results: int = 100
    deepest: int = 2000
    map_points: int = 5000
